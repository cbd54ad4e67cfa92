// Refresh: the whole catalog compared with the origin because somebody asks.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catalog_mount.h"

namespace stokefs::cache {
namespace {

using testing::Await;
using testing::CatalogMount;
using testing::SourceTree;
using testing::TempDir;

class RecordingListener final : public ChangeListener {
 public:
  void OnNameChanged(NodeId folder, std::string_view name) override {
    base::MutexLock lock(mu_);
    names_.insert(std::to_string(folder.value) + "/" + std::string(name));
  }
  void OnFolderChanged(NodeId) override {}
  std::set<std::string> Names() const {
    base::MutexLock lock(mu_);
    return names_;
  }

 private:
  mutable base::Mutex mu_;
  std::set<std::string> names_ GUARDED_BY(mu_);
};

using Answer = std::future<base::Result<RefreshReport>>;

Answer Begin(CatalogMount& mount) {
  auto promise = std::make_shared<std::promise<base::Result<RefreshReport>>>();
  Answer answer = promise->get_future();
  mount->Refresh([promise](base::Result<RefreshReport> report) { promise->set_value(report); });
  return answer;
}

base::Result<RefreshReport> Refresh(CatalogMount& mount) { return Begin(mount).get(); }

bool IsReady(const Answer& answer) {
  return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::string DigestOf(const SourceTree& source) {
  CatalogMount fresh(source);
  fresh.StartAndComplete();
  return fresh->Summary()->digest;
}

TEST(CatalogRefresh, ChangesOfEveryKindAreTakenOverCountedAndTold) {
  SourceTree source;
  for (std::string const name : {"stays", "changes", "goes"}) source.File("a/" + name);
  source.File("gone/deep/file");
  source.File("turns/file");
  source.File("flips");
  source.Link("link", "a");
  RecordingListener listener;
  CatalogMount mount(source);
  mount.StartAndComplete(&listener);
  NodeId const a = mount.Find("a");
  NodeId const stays = mount.Find("a/stays");
  NodeId const old = mount.Find("a/changes");

  source.File("a/changes", "longer");
  source.Remove("a/goes");
  source.File("a/comes");
  source.Remove("gone");   // two folders and a file
  source.Remove("turns");  // a folder with a file becomes a file
  source.File("turns");
  source.Remove("flips");  // a file becomes a folder with a file
  source.File("flips/file");
  source.Remove("link");
  source.Link("link", "b");
  source.File("b/c/d/e/file");  // four folders and a file
  auto const report = Refresh(mount);

  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->changed, 4u);  // a/changes, turns, flips, link
  EXPECT_EQ(report->removed, 1u + 3 + 1);
  EXPECT_EQ(report->added, 1u + 1 + 5);
  EXPECT_EQ(report->errors, 0u);
  EXPECT_EQ(report->summary.digest, DigestOf(source));
  EXPECT_EQ(mount->Summary()->digest, report->summary.digest);
  EXPECT_EQ(mount.Find("a"), a);
  EXPECT_EQ(mount.Find("a/stays"), stays);
  EXPECT_NE(mount.Find("a/changes"), old);
  EXPECT_EQ(mount->Lookup(mount.Find("b/c/d/e"), "file")->size_bytes, 1u);
  std::string const in_a = std::to_string(a.value);
  EXPECT_EQ(listener.Names(),
            (std::set<std::string>{"1/gone", "1/turns", "1/flips", "1/link", "1/b",
                                   in_a + "/changes", in_a + "/goes", in_a + "/comes"}));
}

TEST(CatalogRefresh, NothingChangedIsNothingCounted) {
  SourceTree source;
  source.File("a/b/file");
  CatalogMount mount(source);
  mount.StartAndComplete();
  auto const report = Refresh(mount);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->added + report->changed + report->removed + report->errors, 0u);
}

TEST(CatalogRefresh, AFolderIsChangedByItsPermissionsAndNotByItsEntries) {
  SourceTree source;
  source.File("a/file");
  CatalogMount mount(source);
  mount.StartAndComplete();
  source.File("a/new");
  ASSERT_EQ(chmod((source / "a").c_str(), 0711), 0);
  auto const report = Refresh(mount);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->added, 1u);
  EXPECT_EQ(report->changed, 1u);
  EXPECT_EQ(mount->Attributes(mount.Find("a"))->permissions, 0711u);
}

TEST(CatalogRefresh, WaitsForTheFirstScan) {
  SourceTree source;
  source.File("a/file");
  CatalogMount mount(source);
  mount.faults.Hang("a");
  mount->Start(nullptr);
  mount.faults.AwaitHung("a");
  Answer answer = Begin(mount);
  EXPECT_FALSE(mount->Refreshing().is_running);
  EXPECT_FALSE(IsReady(answer));
  mount.faults.ReleaseAll();
  auto const report = answer.get();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->added, 0u);  // what the scan found is no news
  EXPECT_EQ(report->summary.samples, 1u);
}

TEST(CatalogRefresh, AskedForBeforeTheStartItRunsAfterIt) {
  SourceTree source;
  source.File("file");
  CatalogMount mount(source);
  Answer answer = Begin(mount);
  mount->Start(nullptr);
  EXPECT_TRUE(answer.get());
}

TEST(CatalogRefresh, ASecondOneSeesWhatChangedBeforeItWasAskedFor) {
  SourceTree source;
  source.File("a/file");
  source.File("z/file");
  CatalogMount mount(source);
  mount.StartAndComplete();
  mount.faults.Hang("z");
  Answer first = Begin(mount);
  mount.faults.AwaitHung("z");
  // The first run has looked at "a" when its listing was opened twice: by the scan and by the run.
  Await([&] { return mount.faults.OpenCount("a") == 2; });
  Await([&] { return mount->Refreshing().folders >= 2; });
  source.File("a/new");
  Answer second = Begin(mount);
  Answer third = Begin(mount);
  EXPECT_FALSE(IsReady(first));
  mount.faults.ReleaseAll();
  ASSERT_TRUE(first.get());
  auto const seen = second.get();
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->added, 1u);
  EXPECT_EQ(seen->summary.samples, 3u);
  ASSERT_TRUE(third.get());
  EXPECT_EQ(mount.faults.OpenCount("a"), 3u);  // the two that were queued shared one run
}

TEST(CatalogRefresh, AFolderWhoseComparisonWasUnderWayIsComparedOnceMore) {
  SourceTree source;
  source.File("a/file");
  CatalogMount mount(source);
  mount.StartAndComplete();
  NodeId const file = mount.Find("a/file");
  mount.faults.Hang("a");
  mount->OnStale(file);
  mount.faults.AwaitHung("a");
  size_t const opened = mount.faults.OpenCount("a");
  Answer answer = Begin(mount);
  Await([&] { return mount->Refreshing().folders == 1; });  // the root
  EXPECT_FALSE(IsReady(answer));
  mount.faults.ReleaseAll();
  ASSERT_TRUE(answer.get());
  EXPECT_GT(mount.faults.OpenCount("a"), opened);
}

TEST(CatalogRefresh, AnOriginThatIsAwayIsAnErrorAndNothingIsForgotten) {
  SourceTree source;
  source.File("a/file");
  CatalogMount mount(source);
  mount.StartAndComplete();
  for (int const error : {EIO, ENOENT, ESTALE, ENOTCONN}) {
    mount.faults.FailOpen("", error);
    mount.faults.FailOpen("a", error);
    auto const report = Refresh(mount);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().Errno(), error);
    EXPECT_NE(mount.Find("a/file"), kNoNode);
    mount.faults.ReleaseAll();
  }
  EXPECT_TRUE(Refresh(mount));
}

TEST(CatalogRefresh, FoldersAndEntriesThatFailStayAndAreCounted) {
  SourceTree source;
  source.File("bad/file");
  source.File("good/file");
  source.File("good/odd");
  CatalogMount mount(source);
  mount.StartAndComplete();
  source.Remove("bad/file");
  source.File("good/new");
  mount.faults.FailOpen("bad", EIO);
  mount.faults.FailStat("odd", EIO);
  auto const report = Refresh(mount);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->errors, 2u);
  EXPECT_FALSE(report->error.empty());
  EXPECT_EQ(report->added, 1u);
  EXPECT_EQ(report->removed, 0u);
  EXPECT_NE(mount.Find("bad/file"), kNoNode);
  EXPECT_NE(mount.Find("good/odd"), kNoNode);
  mount.faults.ReleaseAll();
  auto const again = Refresh(mount);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->errors, 0u);
  EXPECT_EQ(again->removed, 1u);
}

TEST(CatalogRefresh, AFolderThatTheScanCouldNotListIsTriedAgain) {
  SourceTree source;
  source.File("closed/file");
  CatalogMount mount(source);
  mount.faults.FailOpen("closed", EACCES);
  mount.StartAndComplete();
  auto const failed = Refresh(mount);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->errors, 1u);
  mount.faults.ReleaseAll();
  auto const report = Refresh(mount);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->added, 1u);
  EXPECT_EQ(report->summary.samples, 1u);
}

TEST(CatalogRefresh, AHungOriginIsAnErrorAfterItsDeadlineAndTheNextRefreshSucceeds) {
  SourceTree source;
  source.File("a/file");
  source.File("b/file");
  CatalogMount mount(source);
  mount.StartAndComplete();
  mount.faults.Hang("a");
  source.File("b/new");
  Answer answer = Begin(mount);
  mount.faults.AwaitHung("a");
  Await([&] { return mount->Refreshing().folders == 2; });
  EXPECT_FALSE(IsReady(answer));
  Answer queued = Begin(mount);
  mount.clock.Advance(std::chrono::seconds(31));
  auto const report = answer.get();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().Errno(), ETIMEDOUT);
  EXPECT_EQ(queued.get().error().Errno(), ETIMEDOUT);
  EXPECT_NE(mount.Find("b/new"), kNoNode);
  source.File("a/new");
  Answer next = Begin(mount);
  mount.faults.ReleaseAll();
  auto const good = next.get();
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->added, 1u);
  EXPECT_NE(mount.Find("a/new"), kNoNode);
}

TEST(CatalogRefresh, TheEndAnswersWhoeverWaits) {
  SourceTree source;
  source.File("a/file");
  CatalogMount mount(source);
  mount.StartAndComplete();
  mount.faults.Hang("a");
  Answer running = Begin(mount);
  mount.faults.AwaitHung("a");
  Answer queued = Begin(mount);
  EXPECT_FALSE(mount->Stop(std::chrono::milliseconds(100)));
  EXPECT_EQ(running.get().error().Errno(), ECANCELED);
  EXPECT_EQ(queued.get().error().Errno(), ECANCELED);
  EXPECT_EQ(Refresh(mount).error().Errno(), ECANCELED);
}

TEST(CatalogRefresh, TakesTheRescanAfterALoadUponItself) {
  SourceTree source;
  for (int i = 0; i < 20; ++i) source.File("folder" + std::to_string(i) + "/file");
  TempDir folder;
  Catalog::Options options;
  options.folder = folder.path();
  {
    CatalogMount mount(source, options);
    mount.StartAndComplete();
    Await([&] { return access((folder / "catalog").c_str(), F_OK) == 0; });
  }
  source.File("folder19/new");
  CatalogMount mount(source, options);
  mount.faults.Hang("folder0");
  mount->Start(nullptr);
  mount.faults.AwaitHung("folder0");
  Answer answer = Begin(mount);
  Await([&] { return mount->Refreshing().is_running; });
  mount.faults.ReleaseAll();
  auto const report = answer.get();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->summary.digest, DigestOf(source));
}

TEST(CatalogRefresh, ManyFoldersThatChangeWhileItRunsAreRightAfterTheNextOne) {
  SourceTree source;
  for (int i = 0; i < 300; ++i)
    source.File(std::to_string(i % 20) + "/" + std::to_string(i) + "/f");
  CatalogMount mount(source);
  mount.StartAndComplete();
  for (int round = 0; round < 5; ++round) {
    Answer first = Begin(mount);
    for (int i = round; i < 300; i += 7) {
      std::string const name = std::to_string(i % 20) + "/" + std::to_string(i);
      source.Remove(name);
      if (i % 2 == 0) source.File(name + "/deep/er/f" + std::to_string(round));
    }
    Answer second = Begin(mount);
    ASSERT_TRUE(first.get());
    auto const report = second.get();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->summary.digest, DigestOf(source));
  }
}

}  // namespace
}  // namespace stokefs::cache
