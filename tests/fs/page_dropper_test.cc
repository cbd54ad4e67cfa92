#include "fs/page_dropper.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/fake_kernel_cache.h"

namespace stokefs::fs {
namespace {

using cache::NodeId;

class PageDropperTest : public ::testing::Test {
 protected:
  struct Reads {
    uint32_t reader;
    uint32_t node;
    bool whole_end = true;
    int at_ms = 0;
  };
  void Read(std::vector<Reads> reads) {
    std::vector<cache::ReadEvent> events;
    for (const Reads& read : reads) {
      events.push_back({.reader = {read.reader},
                        .node = NodeId{read.node},
                        .whole_end = read.whole_end,
                        .when = base::TimePoint(std::chrono::milliseconds(read.at_ms))});
    }
    dropper_.OnReads(events);
  }
  // All that were dropped so far.
  const std::vector<uint32_t>& Dropped() {
    for (const auto& call : kernel_.Take()) dropped_.push_back(call.node.value);
    return dropped_;
  }

  bool wanted_ = true;
  ReadsInFlight in_flight_;
  testing::FakeKernelCache kernel_{32'768};
  std::vector<uint32_t> dropped_;
  PageDropper dropper_{kernel_, in_flight_, [this] { return wanted_; }};
};

TEST_F(PageDropperTest, ASampleGoesWhenItsReaderMovesOn) {
  Read({{.reader = 1, .node = 10}});
  EXPECT_TRUE(Dropped().empty());  // its pages may not have been copied out yet
  Read({{.reader = 1, .node = 11}});
  EXPECT_EQ(Dropped(), std::vector<uint32_t>{10});
}

TEST_F(PageDropperTest, ASampleReadInPartStays) {
  Read({{.reader = 1, .node = 10, .whole_end = false}, {.reader = 1, .node = 11}});
  EXPECT_TRUE(Dropped().empty());
}

TEST_F(PageDropperTest, ASampleThatAnotherReaderIsOnStaysUntilThatOneLeaves) {
  Read({{.reader = 1, .node = 10}, {.reader = 2, .node = 10}, {.reader = 1, .node = 11}});
  EXPECT_TRUE(Dropped().empty());
  Read({{.reader = 2, .node = 12}});
  ASSERT_FALSE(Dropped().empty());
  EXPECT_EQ(Dropped().front(), 10u);
}

TEST_F(PageDropperTest, ASampleWithAReadInFlightIsTriedAgainLater) {
  in_flight_.Begin(NodeId{10});
  Read({{.reader = 1, .node = 10}, {.reader = 1, .node = 11}});
  EXPECT_TRUE(Dropped().empty());
  in_flight_.End(NodeId{10});
  Read({{.reader = 1, .node = 11}});
  EXPECT_EQ(Dropped(), std::vector<uint32_t>{10});
}

TEST_F(PageDropperTest, AReaderThatFellSilentHasMovedOn) {
  Read({{.reader = 1, .node = 10, .at_ms = 0}});
  Read({{.reader = 2, .node = 20, .at_ms = 5000}});
  EXPECT_EQ(Dropped(), std::vector<uint32_t>{10});
}

TEST_F(PageDropperTest, TheLastSamplesGoWhenNobodyReadsAnyMore) {
  Read({{.reader = 1, .node = 10}, {.reader = 2, .node = 20, .whole_end = false}});
  dropper_.OnIdle();
  EXPECT_EQ(Dropped(), std::vector<uint32_t>{10});
}

TEST_F(PageDropperTest, NothingGoesWhileDroppingIsNotWanted) {
  wanted_ = false;
  Read({{.reader = 1, .node = 10}, {.reader = 1, .node = 11}});
  wanted_ = true;
  Read({{.reader = 1, .node = 12}});
  EXPECT_TRUE(Dropped().empty());
}

TEST_F(PageDropperTest, AFloodOfReadersIsBounded) {
  std::vector<Reads> reads;
  for (uint32_t i = 1; i <= 20'000; ++i) reads.push_back({.reader = i, .node = i});
  Read(reads);
  EXPECT_GE(Dropped().size(), 4096u);  // those let go of to stay within the bound
}

}  // namespace
}  // namespace stokefs::fs
