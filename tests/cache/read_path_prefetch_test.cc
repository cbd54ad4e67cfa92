// Fetches that nobody waits for: what they may take, and what becomes of them when a reader comes.
#include <gtest/gtest.h>

#include "tests/cache/read_path_fixture.h"
#include "tests/support/fake_sink.h"

namespace stokefs::cache {
namespace {

class PrefetchTest : public ReadPathTest {
 protected:
  // What became of each block that was taken: an errno, 0 for ok.
  struct Wished {
    size_t taken_count = 0;
    std::vector<std::pair<BlockKey, int>> ended;

    size_t EndedCount(int error_number) const {
      size_t count = 0;
      for (auto const& [key, error] : ended) count += error == error_number ? 1 : 0;
      return count;
    }
  };

  // Blocks 0 of `count` nodes, from `first` on: each as long as an extent.
  static std::vector<BlockKey> Blocks(uint32_t first, uint32_t count) {
    std::vector<BlockKey> keys;
    for (uint32_t i = 0; i < count; ++i) keys.push_back({NodeId{first + i}, 0});
    return keys;
  }
  std::shared_ptr<Wished> Wish(const std::vector<BlockKey>& keys,
                               RoomRule rule = RoomRule::kMayEvict) {
    auto wished = std::make_shared<Wished>();
    wished->taken_count =
        path().Prefetch(keys, rule, [wished](BlockKey key, const base::Status& status) {
          wished->ended.emplace_back(key, status ? 0 : status.error().Errno());
        });
    return wished;
  }
};

TEST_F(PrefetchTest, AReadFindsInMemoryWhatWasFetchedAhead) {
  auto const wished = Wish({{kLarge, 0}, {kLarge, 3}});
  EXPECT_EQ(wished->taken_count, 2u);
  EXPECT_EQ(origin_.AskedBytes(), kExtent + 100);
  EXPECT_TRUE(wished->ended.empty());
  origin_.AnswerAll();
  EXPECT_EQ(wished->EndedCount(0), 2u);
  EXPECT_EQ(statistics().prefetched.Value(), 2u);
  auto const read = Read(kLarge, 3 * kExtent, 4096);
  EXPECT_EQ(read->tier(), Tier::kMemory);
  EXPECT_TRUE(read->RightBytes());
  EXPECT_EQ(statistics().samples.Value(), 0u);  // no reads of anybody
}

TEST_F(PrefetchTest, ASourceIsToldWhetherAReaderWaits) {
  Wish(Blocks(100, 1));
  Read(NodeId{101}, 0, 10);
  auto const priorities = origin_.Priorities();
  ASSERT_EQ(priorities.size(), 2u);
  EXPECT_EQ(priorities[0], FetchPriority::kBackground);
  EXPECT_EQ(priorities[1], FetchPriority::kDemand);
}

TEST_F(PrefetchTest, WhatIsHereOrUnderWayIsNotFetchedAgain) {
  Warm(kSmall, 0, 10);
  Read(kEven, 0, 10);
  auto const wished = Wish({{kSmall, 0}, {kEven, 0}, {kEven, 0}});
  EXPECT_EQ(wished->taken_count, 3u);
  EXPECT_EQ(wished->EndedCount(0), 1u);
  origin_.AnswerAll();
  EXPECT_EQ(wished->EndedCount(0), 3u);
  EXPECT_EQ(origin_.AskedCount(), 2u);
  EXPECT_EQ(statistics().prefetched.Value(), 0u);
}

TEST_F(PrefetchTest, WhatCannotBeFetchedIsToldAtOnce) {
  auto const wished = Wish({{NodeId{99}, 0}, {kRootNode, 0}, {kSmall, 1}});
  ASSERT_EQ(wished->ended.size(), 3u);
  EXPECT_EQ(wished->ended[0].second, ENOENT);
  EXPECT_EQ(wished->ended[1].second, EISDIR);
  EXPECT_EQ(wished->ended[2].second, EINVAL);
  EXPECT_EQ(origin_.AskedCount(), 0u);
}

TEST_F(PrefetchTest, ABlockAboveTheBudgetIsFetchedByItself) {
  options_.prefetch_bytes_max = kExtent - 1;
  auto const wished = Wish({{kEven, 0}, {kEven, 1}});
  EXPECT_EQ(origin_.AskedCount(), 1u);
  origin_.AnswerAll();
  origin_.AnswerAll();
  EXPECT_EQ(wished->EndedCount(0), 2u);
}

TEST_F(PrefetchTest, AFullQueueRefusesAndTakesMoreWhenItHasDrained) {
  options_.prefetch_count_max = 3;
  auto const first = Wish(Blocks(100, 5));
  EXPECT_EQ(first->taken_count, 3u);
  EXPECT_EQ(Wish(Blocks(103, 2))->taken_count, 0u);
  origin_.AnswerNext();
  EXPECT_EQ(Wish(Blocks(103, 2))->taken_count, 1u);
}

TEST_F(PrefetchTest, DemandHasItsBudgetWhateverTheBackgroundTakes) {
  sources_[0].fetch_bytes_max = 4 * kExtent;
  options_.prefetch_bytes_max = 2 * kExtent;
  Wish(Blocks(100, 10));
  EXPECT_EQ(origin_.WaitingCount(), 2u);
  for (uint32_t i = 110; i < 120; ++i) Read(NodeId{i}, 0, 10);
  EXPECT_EQ(origin_.WaitingCount(), 6u);
  origin_.AnswerNext();  // a background block: another background block has its room
  EXPECT_EQ(origin_.WaitingCount(), 5u);  // but readers wait, and go before it
}

TEST_F(PrefetchTest, AsManyAsASourceMayHaveInTheBackgroundAreAsked) {
  options_.prefetch_bytes_max = 8 * kExtent;
  sources_[0].background_count_max = 3;
  auto const wished = Wish(Blocks(100, 6));
  EXPECT_EQ(origin_.WaitingCount(), 3u);
  origin_.AnswerAll();
  EXPECT_EQ(wished->EndedCount(0), 6u);
}

TEST_F(PrefetchTest, AReaderLiftsAWaitingFetchOverAllOthers) {
  options_.prefetch_bytes_max = kExtent;
  auto const wished = Wish(Blocks(100, 9));
  EXPECT_EQ(origin_.WaitingCount(), 1u);
  auto const read = Read(NodeId{108}, 0, 10);
  ASSERT_EQ(origin_.WaitingCount(), 2u);
  EXPECT_EQ(origin_.Waiting()[1].first.node, NodeId{108});
  EXPECT_EQ(origin_.Priorities()[1], FetchPriority::kDemand);
  EXPECT_EQ(statistics().joined.Value(), 1u);
  origin_.AnswerKey({NodeId{108}, 0});
  EXPECT_EQ(read->Errno(), 0);
  EXPECT_EQ(wished->EndedCount(0), 1u);
}

TEST_F(PrefetchTest, AReaderOfALateFetchHasADeadlineOfHisOwn) {
  Wish(Blocks(100, 1));
  PassTime(kOriginDeadline - std::chrono::seconds(1));
  auto const read = Read(NodeId{100}, 0, 10);
  PassTime(std::chrono::seconds(1));
  EXPECT_FALSE(read->Answered());
  // The source did not start it before the deadline that it was given: it is asked anew.
  Refuse(origin_, ETIMEDOUT);
  EXPECT_FALSE(read->Answered());
  ASSERT_EQ(origin_.WaitingCount(), 1u);
  EXPECT_EQ(origin_.Priorities()[0], FetchPriority::kDemand);
  PassTime(kOriginDeadline);
  EXPECT_EQ(read->Errno(), ETIMEDOUT);  // now it is the reader's
}

TEST_F(PrefetchTest, ALateFetchEndsAndNoReaderFailsFastForIt) {
  auto const wished = Wish(Blocks(100, 1));
  PassTime(kOriginDeadline);
  EXPECT_EQ(wished->EndedCount(ETIMEDOUT), 1u);
  EXPECT_EQ(statistics().prefetch_errors.Value(), 1u);
  auto const read = Read(NodeId{100}, 0, 10);
  EXPECT_FALSE(read->Answered());
  EXPECT_EQ(origin_.WaitingCount(), 2u);  // its own
  origin_.AnswerNext();                   // the late one serves as well
  EXPECT_EQ(read->Errno(), 0);
  EXPECT_EQ(statistics().prefetched.Value(), 0u);
}

TEST_F(PrefetchTest, AFailedFetchIsToldAndForgotten) {
  UseDiskAndOrigin();
  auto const wished = Wish(Blocks(100, 1));
  Refuse(disk_, EIO);
  Refuse(origin_, EACCES);
  EXPECT_EQ(wished->EndedCount(EACCES), 1u);
  EXPECT_EQ(statistics().prefetch_errors.Value(), 1u);
  EXPECT_EQ(statistics().errors.Value(), 0u);
  EXPECT_FALSE(Read(NodeId{100}, 0, 10)->Answered());
}

TEST_F(PrefetchTest, WhatIsOverdueIsNotFetchedAhead) {
  Read(NodeId{100}, 0, 10);
  PassTime(kOriginDeadline);
  EXPECT_EQ(Wish(Blocks(100, 1))->EndedCount(ETIMEDOUT), 1u);
  EXPECT_EQ(origin_.AskedCount(), 1u);
}

TEST_F(PrefetchTest, WhoListensHearsWhenAReadersFetchIsOverdue) {
  Read(NodeId{100}, 0, 10);
  auto const wished = Wish(Blocks(100, 1));
  PassTime(kOriginDeadline);
  EXPECT_EQ(wished->EndedCount(ETIMEDOUT), 1u);
  origin_.AnswerNext();
  EXPECT_EQ(wished->ended.size(), 1u);
}

TEST_F(PrefetchTest, WhatWaitsTooLongForItsTurnIsGivenUp) {
  options_.prefetch_bytes_max = kExtent;
  sources_[0].deadline = 2 * kReadDeadline;
  auto const wished = Wish(Blocks(100, 2));
  PassTime(kReadDeadline);
  EXPECT_EQ(wished->EndedCount(ETIMEDOUT), 1u);
  EXPECT_EQ(wished->ended[0].first.node, NodeId{101});
  EXPECT_FALSE(Read(NodeId{101}, 0, 10)->Answered());
}

TEST_F(PrefetchTest, WithFreeRoomOnlyNothingIsEvicted) {
  options_.prefetch_bytes_max = 16 * kExtent;
  sources_[0].background_count_max = 100;
  for (uint32_t i = 100; i < 112; ++i) Warm(NodeId{i}, 0, 10);
  auto const wished = Wish(Blocks(120, 6), RoomRule::kFreeRoom);
  EXPECT_EQ(wished->EndedCount(ENOMEM), 2u);
  origin_.AnswerAll();
  EXPECT_EQ(wished->EndedCount(0), 4u);
  EXPECT_EQ(memory_->Usage().evicted_count, 0u);
  auto const evicting = Wish(Blocks(130, 2), RoomRule::kMayEvict);
  origin_.AnswerAll();
  EXPECT_EQ(evicting->EndedCount(0), 2u);
  EXPECT_EQ(memory_->Usage().evicted_count, 2u);
}

TEST_F(PrefetchTest, WhatMayEvictWaitsWhileLeasesHoldEverything) {
  std::vector<Reservation> rooms = FillArena();
  auto const wished = Wish(Blocks(100, 1));
  EXPECT_EQ(origin_.AskedCount(), 0u);
  rooms.clear();
  path().Tick();
  origin_.AnswerAll();
  EXPECT_EQ(wished->EndedCount(0), 1u);
}

TEST_F(PrefetchTest, ABusySourceIsAskedAgain) {
  origin_.SetBusy(true);
  auto const wished = Wish(Blocks(100, 1));
  EXPECT_TRUE(wished->ended.empty());
  auto const read = Read(NodeId{100}, 0, 10);
  origin_.SetBusy(false);
  path().Tick();
  EXPECT_EQ(origin_.Priorities().at(0), FetchPriority::kDemand);
  origin_.AnswerAll();
  EXPECT_EQ(wished->EndedCount(0), 1u);
  EXPECT_EQ(read->Errno(), 0);
}

TEST_F(PrefetchTest, ThePauseHoldsForItToo) {
  testing::FakeSink sink;
  options_.sink = &sink;
  sink.SetPaused(true);
  Wish(Blocks(100, 1));
  EXPECT_EQ(origin_.AskedCount(), 0u);
  sink.SetPaused(false);
  path().Tick();
  origin_.AnswerAll();
  EXPECT_EQ(sink.ToldCount(), 1u);
}

TEST_F(PrefetchTest, TheEndIsToldOnce) {
  options_.prefetch_bytes_max = kExtent;
  auto const wished = Wish(Blocks(100, 3));
  path().Shutdown(std::errc::io_error);
  EXPECT_EQ(wished->EndedCount(EIO), 3u);
  origin_.AnswerAll();
  EXPECT_EQ(wished->ended.size(), 3u);
  EXPECT_EQ(Wish(Blocks(100, 3))->taken_count, 0u);
  EXPECT_EQ(memory_->Usage().reserved_bytes, 0u);
}

TEST_F(PrefetchTest, ItsEndMayStartTheNext) {
  size_t ended_count = 0;
  std::function<void(BlockKey, const base::Status&)> next = [&](BlockKey key,
                                                                const base::Status& status) {
    ASSERT_TRUE(status.has_value());
    ++ended_count;
    BlockKey const after{NodeId{key.node.value + 1}, 0};
    if (ended_count < 50) path().Prefetch(std::span(&after, 1), RoomRule::kMayEvict, next);
  };
  BlockKey const first{NodeId{100}, 0};
  path().Prefetch(std::span(&first, 1), RoomRule::kMayEvict, next);
  while (origin_.AnswerNext()) {
  }
  EXPECT_EQ(ended_count, 50u);
}

}  // namespace
}  // namespace stokefs::cache
