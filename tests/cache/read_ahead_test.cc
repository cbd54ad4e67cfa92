#include "cache/read_ahead.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_layout.h"
#include "tests/support/fake_order.h"

namespace stokefs::cache {
namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr NodeId kTar{5000};

class ReadAheadTest : public ::testing::Test {
 protected:
  ReadAheadTest() {
    order_.end = 1000;
    order_.size_bytes = 1000;
    for (uint32_t i = 2; i < order_.end; ++i) layout_.size_bytes[NodeId{i}] = order_.size_bytes;
    layout_.size_bytes[kTar] = 1000 * kMiB;
    options_.memory_bytes = 64 * kMiB;
  }
  ReadAhead& ahead() {
    if (!ahead_) {
      ahead_.emplace(
          options_, order_, layout_,
          [this](std::span<const BlockKey> keys, RoomRule rule, PrefetchDone done) {
            return Prefetch(keys, rule, std::move(done));
          },
          clock_);
    }
    return *ahead_;
  }
  size_t Prefetch(std::span<const BlockKey> keys, RoomRule rule, PrefetchDone done) {
    EXPECT_EQ(rule, RoomRule::kMayEvict);
    ++call_count_;
    keys = keys.first(std::min(keys.size(), takes_count_max_));
    for (BlockKey const key : keys) {
      if (in_memory_) {
        done(key, {});
      } else {
        under_way_.emplace_back(key, done);
      }
    }
    return keys.size();
  }
  void Read(NodeId node, uint64_t offset, uint32_t size_bytes, Tier tier = Tier::kOrigin) {
    ReadEvent const event{.reader = {1},
                          .node = node,
                          .offset = offset,
                          .size_bytes = size_bytes,
                          .whole_end = offset + size_bytes == layout_.size_bytes[node],
                          .tier = tier,
                          .when = clock_.Now()};
    ahead().OnReads(std::span(&event, 1));
  }
  void Walk(uint32_t first, uint32_t end) {
    for (uint32_t i = first; i < end; ++i) Read(NodeId{i}, 0, 1000);
  }
  // The end of all that is under way.
  void End(const base::Status& status = {}) {
    auto const ending = std::exchange(under_way_, {});
    for (auto const& [key, done] : ending) done(key, status);
    ahead().OnIdle();
  }
  const ReadAheadStatistics& statistics() { return ahead().Statistics(); }

  ReadAhead::Options options_;
  testing::FakeClock clock_;
  testing::FakeOrder order_;
  testing::FakeLayout layout_;
  std::vector<std::pair<BlockKey, PrefetchDone>> under_way_;
  size_t takes_count_max_ = 1000;
  bool in_memory_ = false;
  size_t call_count_ = 0;
  std::optional<ReadAhead> ahead_;
};

TEST_F(ReadAheadTest, WhatAWalkComesToNextIsFetchedAndUsed) {
  Walk(100, 105);
  ASSERT_EQ(under_way_.size(), 8u);
  EXPECT_EQ(under_way_[0].first, (BlockKey{NodeId{105}, 0}));
  End();
  EXPECT_EQ(statistics().prefetched.Value(), 8u);
  EXPECT_EQ(statistics().used.Value(), 0u);
  for (uint32_t i = 105; i < 110; ++i) Read(NodeId{i}, 0, 1000, Tier::kMemory);
  EXPECT_EQ(statistics().used.Value(), 5u);
  EXPECT_EQ(statistics().wasted.Value(), 0u);
}

TEST_F(ReadAheadTest, WhatAStreamComesToNextIsFetchedAndUsed) {
  for (uint64_t at = 0; at < kMiB; at += kMiB / 8) Read(kTar, at, kMiB / 8);
  ASSERT_EQ(under_way_.size(), 2u);
  EXPECT_EQ(under_way_[1].first, (BlockKey{kTar, 2}));
  End();
  Read(kTar, kMiB, 2 * kMiB);
  EXPECT_EQ(statistics().used.Value(), 2u);
}

TEST_F(ReadAheadTest, WhatIsNotReadInTimeIsWasted) {
  Walk(100, 105);
  End();
  Read(NodeId{105}, 0, 1000);
  size_t const left = 8 - 1 + under_way_.size();
  clock_.Advance(options_.wasted_after);
  ahead().OnIdle();
  EXPECT_EQ(statistics().wasted.Value(), left);
  Read(NodeId{106}, 0, 1000);  // too late to count
  EXPECT_EQ(statistics().used.Value(), 1u);
}

TEST_F(ReadAheadTest, WhatWasInMemoryCountsForNothing) {
  in_memory_ = true;
  Walk(100, 150);
  clock_.Advance(options_.wasted_after);
  ahead().OnIdle();
  EXPECT_EQ(statistics().prefetched.Value(), 0u);
  EXPECT_EQ(statistics().used.Value(), 0u);
  EXPECT_EQ(statistics().wasted.Value(), 0u);
}

TEST_F(ReadAheadTest, WhatFailsCountsForNothing) {
  Walk(100, 105);
  End(base::FailErrno(EIO, "fake"));
  clock_.Advance(options_.wasted_after);
  ahead().OnIdle();
  EXPECT_EQ(statistics().prefetched.Value(), 0u);
  EXPECT_EQ(statistics().wasted.Value(), 0u);
}

TEST_F(ReadAheadTest, NoMoreIsUnderWayThanTheLimit) {
  options_.under_way_max = 20;
  Walk(100, 300);
  EXPECT_EQ(under_way_.size(), 20u);
  End();
  Walk(300, 400);
  EXPECT_EQ(under_way_.size(), 20u);
}

TEST_F(ReadAheadTest, WhatTheReadPathDoesNotTakeIsForgotten) {
  takes_count_max_ = 3;
  Walk(100, 105);
  EXPECT_EQ(under_way_.size(), 3u);
  End();
  for (uint32_t i = 105; i < 113; ++i) Read(NodeId{i}, 0, 1000, Tier::kMemory);
  EXPECT_EQ(statistics().used.Value(), 3u);
}

TEST_F(ReadAheadTest, NoMoreLiesUnreadThanAQuarterOfMemory) {
  options_.memory_bytes = 8 * kMiB;
  for (uint64_t file = 0; file < 10; ++file) {
    NodeId const node{6000 + static_cast<uint32_t>(file)};
    layout_.size_bytes[node] = 100 * kMiB;
    for (uint64_t at = 0; at < 4 * kMiB; at += kMiB / 8) Read(node, at, kMiB / 8);
    clock_.Advance(std::chrono::seconds(2));  // each has the streams' whole share
  }
  EXPECT_LE(under_way_.size(), 10 * 4u);  // 1 MiB each; those that were read do not count
  size_t unread_count = 0;
  for (auto const& [key, done] : under_way_) unread_count += key.index >= 4 ? 1 : 0;
  EXPECT_LE(unread_count, 3u);
}

TEST_F(ReadAheadTest, RandomReadsAskForNothing) {
  for (uint32_t i = 0; i < 500; ++i) Read(NodeId{2 + i * 337 % 998}, 0, 1000);
  for (uint32_t i = 0; i < 500; ++i) Read(kTar, i * 337 % 1000 * kMiB, 4096);
  EXPECT_EQ(call_count_, 0u);
}

}  // namespace
}  // namespace stokefs::cache
