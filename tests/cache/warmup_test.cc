#include "cache/warmup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "cache/lru_policy.h"
#include "tests/support/catalog_mount.h"
#include "tests/support/fake_disk.h"
#include "tests/support/fake_fetcher.h"

namespace stokefs::cache {
namespace {

using testing::Await;
using testing::CatalogMount;
using testing::FakeDisk;
using testing::FakeFetcher;
using testing::SourceTree;

class WarmupTest : public ::testing::Test {
 protected:
  WarmupTest() {
    for (int i = 0; i < 40; ++i) source_.File("a/" + std::to_string(i), "abc");
    source_.File("b/deep/file");
    source_.File("empty", "");
    source_.File("large", std::string(25, 'x'));  // three extents of ten bytes
  }
  void Start() {
    mount_ = std::make_unique<CatalogMount>(source_);
    mount_->StartAndComplete();
  }
  base::Result<WarmupReport> Run(const std::vector<std::string>& paths,
                                 DiskPlace::Room room = DiskPlace::Room::kFree) {
    DiskPlace place(disk_, room);
    return Warmup(options_, *mount_->catalog, fetcher_)
        .Run(paths, place, signal_, [this](const auto& now) {
          base::MutexLock lock(mu_);
          phases_.push_back(now.phase);
        });
  }
  std::vector<BlockKey> KeysOf(const std::string& path, uint32_t count = 1) {
    std::vector<BlockKey> keys;
    for (uint32_t i = 0; i < count; ++i) keys.push_back({(*mount_)->FindPath(path).value(), i});
    return keys;
  }

  SourceTree source_;
  FakeDisk disk_;
  FakeFetcher fetcher_{&disk_};
  base::JobSignal signal_;
  Warmup::Options options_{.extent_bytes = 10};
  base::Mutex mu_;
  std::vector<WarmupPhase> phases_ GUARDED_BY(mu_);
  std::unique_ptr<CatalogMount> mount_;
};

TEST_F(WarmupTest, FetchesAllInTheOrderOfSampleIds) {
  Start();
  auto const report = Run({});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->phase, WarmupPhase::kEnded);
  EXPECT_EQ(report->samples, 43u);
  EXPECT_EQ(report->samples_there, 1u);  // the empty one needs nothing
  EXPECT_EQ(report->samples_fetched, 42u);
  EXPECT_EQ(report->bytes_fetched, 40u * 3 + 1 + 25);
  EXPECT_EQ(report->samples_failed + report->samples_lost, 0u);
  EXPECT_EQ(disk_.Blocks().size(), 44u);
  EXPECT_EQ(disk_.FlushCount(), 1u);
  std::vector<SampleId> order;
  for (BlockKey const key : fetcher_.Asked()) {
    order.push_back(MakeSampleId((*mount_)->LocateAtOrigin(key.node)->path));
  }
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(WarmupTest, WhatIsThereIsSkippedAlsoExtentByExtent) {
  Start();
  disk_.Put(KeysOf("a/1")[0]);
  disk_.Put(KeysOf("large", 3)[1]);
  auto const report = Run({"a", "large"});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->samples, 41u);
  EXPECT_EQ(report->samples_there, 1u);
  EXPECT_EQ(report->samples_fetched, 40u);
  EXPECT_EQ(report->bytes_fetched, 39u * 3 + 15);
  auto const again = Run({"a", "large"});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->samples_there, 41u);
  EXPECT_EQ(again->samples_fetched, 0u);
}

TEST_F(WarmupTest, PathsThatOverlapCountOnce) {
  Start();
  auto const report = Run({"a", "a/3", "b/deep", "b", "a"});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->samples, 41u);
  EXPECT_EQ(fetcher_.Asked().size(), 41u);
}

TEST_F(WarmupTest, AnUnknownPathIsAnErrorAndNothingIsFetched) {
  Start();
  auto const report = Run({"a", "gone"});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().Errno(), ENOENT);
  EXPECT_NE(report.error().message.find("gone"), std::string::npos);
  EXPECT_TRUE(fetcher_.Asked().empty());
}

TEST_F(WarmupTest, OneThatFailsStopsNoOther) {
  Start();
  for (int i = 0; i < 8; ++i) {
    fetcher_.FailNode(KeysOf("a/" + std::to_string(i))[0].node, std::errc::io_error);
  }
  auto const report = Run({});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->samples_failed, 8u);
  EXPECT_EQ(report->samples_fetched, 34u);
  ASSERT_EQ(report->failures.size(), 5u);
  EXPECT_EQ(report->failures[0].substr(0, 2), "a/");
}

TEST_F(WarmupTest, ALargeSampleOfWhichOneExtentFailsHasFailedOnce) {
  Start();
  fetcher_.FailNode(KeysOf("large")[0].node, std::errc::io_error);
  auto const report = Run({"large"});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->samples_failed, 1u);
  EXPECT_EQ(report->samples_fetched, 0u);
}

TEST_F(WarmupTest, TheWindowIsNeverPassed) {
  Start();
  fetcher_.Hold();
  options_.window_count = 4;
  auto report = std::async(std::launch::async, [&] { return Run({"a"}); });
  Await([&] { return fetcher_.WaitingCount() == 4; });
  while (fetcher_.EndNext()) {
    Await([&] { return fetcher_.WaitingCount() == 4 || fetcher_.Asked().size() == 40; });
    EXPECT_LE(fetcher_.WaitingCount(), 4u);
  }
  EXPECT_EQ(report.get()->samples_fetched, 40u);
}

TEST_F(WarmupTest, TheWindowHoldsForBytesToo) {
  Start();
  fetcher_.Hold();
  options_.window_bytes = 7;  // two of three bytes
  auto report = std::async(std::launch::async, [&] { return Run({"a"}); });
  Await([&] { return fetcher_.WaitingCount() == 2; });
  while (fetcher_.EndNext()) {
    Await([&] { return fetcher_.WaitingCount() == 2 || fetcher_.Asked().size() == 40; });
    EXPECT_LE(fetcher_.WaitingCount(), 2u);
  }
  EXPECT_EQ(report.get()->samples_fetched, 40u);
}

TEST_F(WarmupTest, AFullQueueIsWaitedFor) {
  Start();
  fetcher_.Hold();
  fetcher_.SetQueueCountMax(2);
  auto report = std::async(std::launch::async, [&] { return Run({"a"}); });
  while (fetcher_.Asked().size() < 40 || fetcher_.WaitingCount() > 0) fetcher_.EndNext();
  EXPECT_EQ(report.get()->samples_fetched, 40u);
}

TEST_F(WarmupTest, StopsWhenTheDiskTakesNoMore) {
  Start();
  disk_.SetBudget(10);
  options_.window_count = 1;
  auto const report = Run({"a"});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->is_full);
  EXPECT_EQ(report->samples_failed, 0u);
  EXPECT_LT(report->samples_fetched, 40u);
  EXPECT_GT(report->samples_fetched, 0u);
}

TEST_F(WarmupTest, ADirectoryThatTakesNothingIsFull) {
  Start();
  disk_.SetState(DirectoryState::kRetired);
  auto const report = Run({});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->is_full);
  EXPECT_TRUE(fetcher_.Asked().empty());
}

TEST_F(WarmupTest, WhatIsPinnedAsksForNoRoom) {
  Start();
  disk_.SetBudget(0);
  auto const report = Run({"a"}, DiskPlace::Room::kAny);
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->is_full);
  EXPECT_EQ(report->samples_fetched, 40u);
}

TEST_F(WarmupTest, WhatCameAndIsNotKeptIsCounted) {
  Start();
  fetcher_.LoseAll();
  auto const report = Run({"a"});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->samples_fetched, 40u);
  EXPECT_EQ(report->samples_lost, 40u);
}

TEST_F(WarmupTest, CancelledItReturnsAtOnceAndLateBlocksHarmNothing) {
  Start();
  fetcher_.Hold();
  auto report = std::async(std::launch::async, [&] { return Run({"a"}); });
  Await([&] { return fetcher_.WaitingCount() > 0; });
  signal_.Cancel();
  auto const answer = report.get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().Errno(), ECANCELED);
  fetcher_.EndAll();
}

TEST_F(WarmupTest, WaitsForTheFirstScanAndForTheDisksHeads) {
  mount_ = std::make_unique<CatalogMount>(source_);
  mount_->faults.Hang("a");
  disk_.SetLoading(true);
  (*mount_)->Start(nullptr);
  mount_->faults.AwaitHung("a");
  auto report = std::async(std::launch::async, [&] { return Run({"a"}); });
  Await([&] {
    base::MutexLock lock(mu_);
    return !phases_.empty();
  });
  mount_->faults.ReleaseAll();
  mount_->AwaitComplete();
  EXPECT_TRUE(fetcher_.Asked().empty());
  disk_.SetLoading(false);
  EXPECT_EQ(report.get()->samples_fetched, 40u);
  base::MutexLock lock(mu_);
  EXPECT_EQ(phases_.front(), WarmupPhase::kWaiting);
  EXPECT_NE(std::find(phases_.begin(), phases_.end(), WarmupPhase::kFetching), phases_.end());
}

TEST_F(WarmupTest, WithoutADiskItStopsWhereMemoryEnds) {
  Start();
  LruPolicy policy;
  auto memory = MemoryTier::Create(1 << 20, policy);
  ASSERT_TRUE(memory);
  MemoryPlace place(**memory);
  fetcher_.FailAll(std::errc::not_enough_memory);
  auto const report =
      Warmup(options_, *mount_->catalog, fetcher_).Run({}, place, signal_, [](const auto&) {});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->is_full);
  EXPECT_EQ(report->samples_failed, 0u);
}

}  // namespace
}  // namespace stokefs::cache
