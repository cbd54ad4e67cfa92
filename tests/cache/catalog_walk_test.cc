#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>

#include "tests/support/catalog_mount.h"

namespace stokefs::cache {
namespace {

using testing::CatalogMount;
using testing::SourceTree;

std::map<std::string, uint64_t> Walk(CatalogMount& mount, const std::string& path) {
  std::map<std::string, uint64_t> found;
  EXPECT_TRUE(mount->VisitSamples(path, [&](const CatalogSample& sample) {
    EXPECT_EQ(mount->FindPath(sample.path).value(), sample.node);
    EXPECT_TRUE(found.emplace(sample.path, sample.size_bytes).second);
    return true;
  }));
  return found;
}

TEST(CatalogWalk, VisitsEverySampleBelowAPathOnce) {
  SourceTree source;
  source.File("top", "12");
  source.File("a/1", "123");
  source.File("a/deep/er/2", "");
  source.File("ab/3");
  source.Link("a/link", "1");
  source.Folder("empty");
  CatalogMount mount(source);
  mount.StartAndComplete();
  EXPECT_EQ(Walk(mount, ""), (std::map<std::string, uint64_t>{
                                 {"top", 2}, {"a/1", 3}, {"a/deep/er/2", 0}, {"ab/3", 1}}));
  EXPECT_EQ(Walk(mount, "a"), (std::map<std::string, uint64_t>{{"a/1", 3}, {"a/deep/er/2", 0}}));
  EXPECT_EQ(Walk(mount, "a/1"), (std::map<std::string, uint64_t>{{"a/1", 3}}));
  EXPECT_TRUE(Walk(mount, "a/link").empty());
  EXPECT_TRUE(Walk(mount, "empty").empty());
}

TEST(CatalogWalk, GoesOverFoldersOfManyBatches) {
  SourceTree source;
  for (int i = 0; i < 1000; ++i) source.File("a/" + std::to_string(i));
  CatalogMount mount(source);
  mount.StartAndComplete();
  EXPECT_EQ(Walk(mount, "").size(), 1000u);
  size_t visits = 0;
  ASSERT_TRUE(mount->VisitSamples("a", [&](const CatalogSample&) { return ++visits < 300; }));
  EXPECT_EQ(visits, 300u);
}

TEST(CatalogWalk, TheVisitMayChangeWhatItWalks) {
  SourceTree source;
  for (int i = 0; i < 600; ++i) source.File("a/" + std::to_string(1000 + i));
  CatalogMount mount(source);
  mount.StartAndComplete();
  size_t visits = 0;
  ASSERT_TRUE(mount->VisitSamples("", [&](const CatalogSample&) {
    if (++visits == 1) {
      for (int i = 300; i < 600; ++i) source.Remove("a/" + std::to_string(1000 + i));
      std::promise<void> refreshed;
      mount->Refresh([&](base::Result<RefreshReport>) { refreshed.set_value(); });
      refreshed.get_future().wait();
    }
    return true;
  }));
  EXPECT_EQ(visits, 300u);
}

TEST(CatalogWalk, PathsThatAreNotThereGiveTheirErrno) {
  SourceTree source;
  source.File("a/file");
  CatalogMount mount(source);
  EXPECT_EQ(mount->FindPath("a").error().Errno(), EAGAIN);
  EXPECT_EQ(mount->FindPath("").value(), kRootNode);
  mount.StartAndComplete();
  EXPECT_EQ(mount->FindPath("a/gone").error().Errno(), ENOENT);
  EXPECT_EQ(mount->FindPath("a/file/x").error().Errno(), ENOTDIR);
  EXPECT_EQ(mount->VisitSamples("gone", [](const CatalogSample&) { return true; }).error().Errno(),
            ENOENT);
}

}  // namespace
}  // namespace stokefs::cache
