#include "hints/hint_book.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <future>
#include <map>
#include <string>

#include "base/file.h"
#include "hints/hint_session.h"
#include "tests/support/catalog_mount.h"
#include "tests/support/temp_dir.h"

namespace stokefs::hints {
namespace {

using testing::Await;
using testing::CatalogMount;
using testing::SourceTree;

class Heard final : public cache::ImportanceListener {
 public:
  void OnImportance(std::span<const cache::ImportanceChange> changes) override {
    base::MutexLock lock(mu_);
    for (auto const& change : changes) relative_[change.node.value] = change.relative;
  }
  float Of(cache::NodeId node) {
    base::MutexLock lock(mu_);
    auto const found = relative_.find(node.value);
    return found == relative_.end() ? -1 : found->second;
  }

 private:
  base::Mutex mu_;
  std::map<uint32_t, float> relative_ GUARDED_BY(mu_);
};

HintBook::Options Quick(std::string file = {}) {
  return {.file = std::move(file),
          .tell_after = std::chrono::milliseconds(1),
          .look_period = std::chrono::milliseconds(1)};
}

int Write(HintSession& session, std::string_view text) {
  auto answer = std::make_shared<std::promise<int>>();
  session.Write(text, [answer](int error) { answer->set_value(error); });
  return answer->get_future().get();
}

class HintBookTest : public ::testing::Test {
 protected:
  HintBookTest() {
    for (auto const* name : {"t/a/1.png", "t/a/2.png", "t/b/1.png", "other"}) source_.File(name);
  }
  SourceTree source_;
  Heard heard_;
};

TEST_F(HintBookTest, TheListenerHearsValuesRelativeToTheirAverage) {
  CatalogMount catalog(source_);
  catalog.StartAndComplete();
  HintBook book(Quick(), *catalog.catalog, *catalog.journal, &heard_);
  book.Start();
  auto const session = std::make_shared<HintSession>(book);
  EXPECT_EQ(Write(*session, "job j root=t\nimportance #2 3\nimportance other 1\n"), 0);
  auto const b1 = catalog.Find("t/b/1.png"), other = catalog.Find("other");
  Await([&] { return heard_.Of(b1) == 1.5F && heard_.Of(other) == 0.5F; });
  // The average moves: all are told anew.
  EXPECT_EQ(Write(*session, "importance t/a/1.png 8\n"), 0);
  Await([&] { return heard_.Of(b1) == 0.75F && heard_.Of(catalog.Find("t/a/1.png")) == 2.0F; });
  EXPECT_EQ(book.AcceptedCount(), 4u);
}

TEST_F(HintBookTest, ANewVersionOfAFileHasTheOldValue) {
  CatalogMount catalog(source_);
  catalog.StartAndComplete();
  HintBook book(Quick(), *catalog.catalog, *catalog.journal, &heard_);
  book.Start();
  auto const session = std::make_shared<HintSession>(book);
  EXPECT_EQ(Write(*session, "importance other 2\nimportance t/a/1.png 6\n"), 0);
  auto const before = catalog.Find("other");
  Await([&] { return heard_.Of(before) == 0.5F; });
  source_.File("other", "another content");
  std::promise<void> refreshed;
  catalog->Refresh([&](const auto&) { refreshed.set_value(); });
  refreshed.get_future().get();
  auto const after = catalog.Find("other");
  ASSERT_NE(after, before);
  Await([&] { return heard_.Of(after) == 0.5F; });
}

TEST_F(HintBookTest, ValuesAreKept) {
  testing::TempDir dir;
  CatalogMount catalog(source_);
  catalog.StartAndComplete();
  {
    HintBook book(Quick(dir / "importance"), *catalog.catalog, *catalog.journal, nullptr);
    book.Start();
    EXPECT_EQ(Write(*std::make_shared<HintSession>(book), "importance other 2\n"), 0);
  }
  HintBook book(Quick(dir / "importance"), *catalog.catalog, *catalog.journal, &heard_);
  book.Start();
  Await([&] { return heard_.Of(catalog.Find("other")) == 1.0F; });
  EXPECT_EQ(book.Importance(cache::MakeSampleId("other")), 1.0);
}

TEST_F(HintBookTest, APieceThatFailedFailsAgainAndCountsOnce) {
  CatalogMount catalog(source_);
  catalog.StartAndComplete();
  HintBook book(Quick(), *catalog.catalog, *catalog.journal, nullptr);
  book.Start();
  auto const session = std::make_shared<HintSession>(book);
  EXPECT_EQ(Write(*session, "importance ot"), 0);
  EXPECT_EQ(Write(*session, "her 1\nbad\n"), EINVAL);
  EXPECT_EQ(Write(*session, "her 1\nbad\n"), EINVAL);
  EXPECT_EQ(book.AcceptedCount(), 1u);
  EXPECT_EQ(book.RefusedCount(), 1u);
  EXPECT_EQ(session->Text().substr(0, 8), "line 2: ");
  EXPECT_EQ(Write(*session, "importance other 2\n"), 0);
}

TEST_F(HintBookTest, AWriteOfAnUnlistedFolderIsAnsweredWhenItIsListedOrAtTheEnd) {
  CatalogMount catalog(source_);
  HintBook book(Quick(), *catalog.catalog, *catalog.journal, nullptr);
  book.Start();
  catalog.StartAndComplete();
  EXPECT_EQ(Write(*std::make_shared<HintSession>(book), "importance t/a/1.png 1\n"), 0);
  EXPECT_TRUE(book.Stop(std::chrono::seconds(60)));
  // Nobody takes what waits for the thread any more: its answer dies.
  auto const guard = std::make_shared<int>(0);
  {
    auto const session = std::make_shared<HintSession>(book);
    session->Write("importance #0 1\n", [guard](int) { FAIL(); });
  }
  EXPECT_EQ(guard.use_count(), 1);
}

}  // namespace
}  // namespace stokefs::hints
