// Comparing with the origin: after a load, and when a read found a file stale.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>
#include <vector>

#include "tests/support/catalog_mount.h"

namespace stokefs::cache {
namespace {

using testing::Await;
using testing::CatalogMount;
using testing::SourceTree;

class Listener final : public ChangeListener {
 public:
  void OnNameChanged(NodeId folder, std::string_view name) override {
    base::MutexLock lock(mu_);
    names_.insert(std::to_string(folder.value) + "/" + std::string(name));
  }
  void OnFolderChanged(NodeId folder) override {
    base::MutexLock lock(mu_);
    folders_.insert(folder);
  }
  std::set<std::string> Names() const {
    base::MutexLock lock(mu_);
    return names_;
  }
  bool HasFolder(NodeId folder) const {
    base::MutexLock lock(mu_);
    return folders_.contains(folder);
  }

 private:
  mutable base::Mutex mu_;
  std::set<std::string> names_ GUARDED_BY(mu_);
  std::set<NodeId> folders_ GUARDED_BY(mu_);
};

class CatalogCompareTest : public ::testing::Test {
 protected:
  CatalogCompareTest() {
    for (std::string const name : {"stays", "changes", "goes"}) source_.File("a/" + name);
    source_.File("b/deep/file");
  }
  SourceTree source_;
  Listener listener_;
};

TEST_F(CatalogCompareTest, RescanAfterALoadFindsAddedRemovedAndChanged) {
  testing::TempDir folder;
  Catalog::Options options;
  options.folder = folder.path();
  {
    CatalogMount mount(source_, options);
    mount.StartAndComplete();
    Await([&] { return access((folder / "catalog").c_str(), F_OK) == 0; });
  }
  source_.File("a/changes", "longer");
  source_.File("a/comes");
  source_.Remove("a/goes");
  source_.File("c/new/file");
  source_.Remove("b");
  {
    CatalogMount mount(source_, options);
    mount.StartAndComplete(&listener_);
    EXPECT_TRUE(mount->Progress().loaded);
    Await([&] { return mount->Progress().folder_count == 4; });
    Await([&] { return mount->Progress().folders_listed == 4; });
    EXPECT_EQ(mount.Names(kRootNode), (std::vector<std::string>{"a", "c"}));
    EXPECT_EQ(mount.Names(mount.Find("a")),
              (std::vector<std::string>{"changes", "comes", "stays"}));
    EXPECT_EQ(mount->Attributes(mount.Find("a/changes"))->size_bytes, 6u);
    EXPECT_EQ(mount.Names(mount.Find("c/new")), (std::vector<std::string>{"file"}));
    std::string const a = std::to_string(mount.Find("a").value);
    EXPECT_EQ(listener_.Names(),
              (std::set<std::string>{"1/b", "1/c", a + "/changes", a + "/comes", a + "/goes"}));
    EXPECT_TRUE(listener_.HasFolder(kRootNode));
    EXPECT_TRUE(listener_.HasFolder(mount.Find("a")));
    Await([&] { return mount->Summary()->samples == 4; });
    CatalogMount fresh(source_);
    fresh.StartAndComplete();
    EXPECT_EQ(mount->Summary()->digest, fresh->Summary()->digest);
    // And the new state is what is kept.
    Await([&] {
      options.rescan = false;
      CatalogMount again(source_, options);
      again.StartAndComplete();
      return again->Progress().loaded && again->Summary()->digest == fresh->Summary()->digest;
    });
  }
}

TEST_F(CatalogCompareTest, StaleFileGetsANewNodeAndTheOldOneStays) {
  CatalogMount mount(source_);
  mount.StartAndComplete(&listener_);
  NodeId const old = mount.Find("a/changes");
  NodeId const stays = mount.Find("a/stays");
  NodeId const folder = mount.Find("a");
  source_.File("a/changes", "longer");
  mount->OnStale(old);
  Await([&] { return mount.Find("a/changes") != old; });
  EXPECT_EQ(mount->FileSize(mount.Find("a/changes")).value(), 6u);
  EXPECT_EQ(mount->FileSize(old).value(), 1u);
  EXPECT_EQ(mount->LocateAtOrigin(old)->path, "a/changes");
  EXPECT_EQ(mount.Find("a/stays"), stays);
  EXPECT_EQ(mount.Find("a"), folder);
  Await([&] { return listener_.HasFolder(folder); });
  EXPECT_EQ(listener_.Names(), (std::set<std::string>{std::to_string(folder.value) + "/changes"}));
}

TEST_F(CatalogCompareTest, StaleReportsOfAnOldNodeCauseNoMoreListings) {
  CatalogMount mount(source_);
  mount.StartAndComplete();
  NodeId const old = mount.Find("a/changes");
  source_.File("a/changes", "longer");
  mount->OnStale(old);
  Await([&] { return mount.Find("a/changes") != old; });
  size_t const opens = mount.faults.OpenCount();
  mount.clock.Advance(std::chrono::minutes(1));
  for (int i = 0; i < 100; ++i) mount->OnStale(old);
  EXPECT_EQ(mount.faults.OpenCount(), opens);
}

TEST_F(CatalogCompareTest, FolderOfManyStaleFilesIsComparedOncePerInterval) {
  CatalogMount mount(source_);
  mount.StartAndComplete();
  size_t const opens = mount.faults.OpenCount("a");
  for (int i = 0; i < 100; ++i) mount->OnStale(mount.Find("a/stays"));
  Await([&] { return mount.faults.OpenCount("a") == opens + 1; });
  // Whether the first comparison came before all of them or amid them: these want one more.
  for (int i = 0; i < 100; ++i) mount->OnStale(mount.Find("a/stays"));
  Await([&] {
    // Again and again: the interval counts from the end of the first one, which may still run.
    mount.clock.Advance(std::chrono::milliseconds(100));
    return mount.faults.OpenCount("a") == opens + 2;
  });
}

TEST_F(CatalogCompareTest, RemovedFolderIsSeenThroughItsParent) {
  CatalogMount mount(source_);
  mount.StartAndComplete(&listener_);
  NodeId const file = mount.Find("b/deep/file");
  source_.Remove("b");
  mount->OnStale(file);
  Await([&] { return mount.Find("b") == kNoNode; });
  EXPECT_EQ(mount->Progress().folder_count, 2u);
  EXPECT_EQ(mount->Progress().sample_count, 3u);
  EXPECT_TRUE(mount->Attributes(file));
}

TEST_F(CatalogCompareTest, FolderKeepsItsNodeWhenOnlyItsAttributesChange) {
  CatalogMount mount(source_);
  mount.StartAndComplete(&listener_);
  NodeId const folder = mount.Find("b");
  ASSERT_EQ(chmod((source_ / "b").c_str(), 0711), 0);
  mount->OnStale(folder);
  Await([&] { return mount->Attributes(folder)->permissions == 0711; });
  EXPECT_EQ(mount.Find("b"), folder);
  Await([&] { return listener_.HasFolder(folder); });
  EXPECT_TRUE(listener_.Names().empty());
}

TEST_F(CatalogCompareTest, EntryThatCannotBeStatedNowStaysAsItWas) {
  CatalogMount mount(source_);
  mount.StartAndComplete();
  NodeId const stays = mount.Find("a/stays");
  mount.faults.FailStat("stays", EIO);
  source_.Remove("a/goes");
  mount->OnStale(mount.Find("a/goes"));
  Await([&] { return mount.Find("a/goes") == kNoNode; });
  EXPECT_EQ(mount.Find("a/stays"), stays);
}

TEST_F(CatalogCompareTest, UnreadableFolderKeepsItsListing) {
  CatalogMount mount(source_);
  mount.StartAndComplete();
  mount.faults.FailOpen("a", EIO);
  mount->OnStale(mount.Find("a/goes"));
  Await([&] { return mount->Progress().scan_errors == 1; });
  EXPECT_EQ(mount.Names(mount.Find("a")).size(), 3u);
}

}  // namespace
}  // namespace stokefs::cache
