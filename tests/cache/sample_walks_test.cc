#include "cache/sample_walks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <set>

#include "tests/support/fake_order.h"

namespace stokefs::cache {
namespace {

class SampleWalksTest : public ::testing::Test {
 protected:
  SampleWalksTest() {
    order_.end = 10'000;
    order_.size_bytes = 1000;
  }
  SampleWalks& walks() {
    if (!walks_) walks_.emplace(options_, order_);
    return *walks_;
  }
  // A first read; says what was wished for. What was wished for before comes from memory.
  std::vector<uint32_t> Read(uint32_t node, uint32_t reader = 1) {
    bool const from_memory = wished_.contains(node) || in_memory_.contains(node);
    ++(from_memory ? hit_count_ : miss_count_);
    std::vector<uint32_t> nodes;
    for (BlockKey const key : walks().OnFirstRead({NodeId{node}, ReaderId{reader}, from_memory})) {
      EXPECT_EQ(key.index, 0u);
      EXPECT_TRUE(wished_.insert(key.node.value).second) << key.node.value << " wished for again";
      nodes.push_back(key.node.value);
    }
    return nodes;
  }
  static std::vector<uint32_t> FromTo(uint32_t first, uint32_t end) {
    std::vector<uint32_t> nodes;
    for (uint32_t i = first; i < end; ++i) nodes.push_back(i);
    return nodes;
  }

  SampleWalks::Options options_;
  testing::FakeOrder order_;
  std::optional<SampleWalks> walks_;
  std::set<uint32_t> wished_;
  std::set<uint32_t> in_memory_;  // and was not wished for
  size_t hit_count_ = 0, miss_count_ = 0;
};

TEST_F(SampleWalksTest, FourSuccessorsInARowMakeAWalk) {
  for (uint32_t i = 100; i < 104; ++i) EXPECT_TRUE(Read(i).empty());
  EXPECT_EQ(Read(104), FromTo(105, 113));
}

TEST_F(SampleWalksTest, AWalkMissesNothingMoreAndItsWindowGrowsToTheLimit) {
  for (uint32_t i = 100; i < 2000; ++i) {
    Read(i);
    uint32_t const ahead = wished_.empty() ? 0 : *wished_.rbegin() - i;
    EXPECT_LE(ahead, std::max<uint32_t>(8, std::min<uint32_t>(256, i - 99)));
    EXPECT_GE(ahead, i < 600 ? 0u : 224u);
  }
  EXPECT_EQ(miss_count_, 5u);
}

TEST_F(SampleWalksTest, TheWindowIsBoundedInBytes) {
  options_.window_bytes_max = 20 * 1000;
  for (uint32_t i = 100; i < 1000; ++i) {
    Read(i);
    EXPECT_LE(wished_.empty() ? 0 : *wished_.rbegin() - i, 20u);
  }
  EXPECT_EQ(miss_count_, 5u);
}

TEST_F(SampleWalksTest, OfALargeFileTheFirstExtentCounts) {
  order_.size_bytes = uint64_t{1} << 40;
  options_.window_bytes_max = 8 * options_.extent_bytes;
  for (uint32_t i = 100; i < 104; ++i) Read(i);
  EXPECT_EQ(Read(104), FromTo(105, 113));
}

TEST_F(SampleWalksTest, OneFileAboveTheLimitIsWishedForAlone) {
  options_.window_bytes_max = 10;
  for (uint32_t i = 100; i < 200; ++i) Read(i);
  EXPECT_EQ(miss_count_, 5u);
}

TEST_F(SampleWalksTest, WhoStopsWishesForNothingMore) {
  for (uint32_t i = 100; i < 150; ++i) Read(i);
  size_t const wished_count = wished_.size();
  EXPECT_LE(*wished_.rbegin(), 149u + 50);
  for (uint32_t i = 0; i < 500; ++i) Read(5000 + i * 7);
  EXPECT_EQ(wished_.size(), wished_count);
}

TEST_F(SampleWalksTest, TheEndOfTheOrderIsTheEndOfTheWalk) {
  for (uint32_t i = 9950; i < 10'000; ++i) Read(i);
  EXPECT_EQ(miss_count_, 5u);
  EXPECT_EQ(*wished_.rbegin(), 9999u);
}

TEST_F(SampleWalksTest, ReadersThatTakeTurnsMakeOneWalk) {
  for (uint32_t i = 100; i < 1000; ++i) Read(i, i % 4);
  EXPECT_EQ(miss_count_, 5u);
}

// Each worker reads a batch of 32 consecutive files, then skips those of the others.
TEST_F(SampleWalksTest, WorkersThatTakeBatchesInTurnMissTheirFirstFilesOnly) {
  constexpr uint32_t kWorkers = 4, kBatch = 32;
  for (uint32_t round = 0; round < 20; ++round) {
    for (uint32_t i = 0; i < kBatch; ++i) {
      for (uint32_t worker = 0; worker < kWorkers; ++worker) {
        Read(100 + (round * kWorkers + worker) * kBatch + i, worker);
      }
    }
  }
  EXPECT_EQ(hit_count_ + miss_count_, 20 * kWorkers * kBatch);
  EXPECT_LE(miss_count_, kWorkers * 10);
}

TEST_F(SampleWalksTest, ARandomReaderCausesNothing) {
  order_.end = 1000;
  std::mt19937 random(7);
  for (int epoch = 0; epoch < 20; ++epoch) {
    std::vector<uint32_t> nodes = FromTo(2, 1000);
    std::shuffle(nodes.begin(), nodes.end(), random);
    for (uint32_t const node : nodes) EXPECT_TRUE(Read(node).empty());
  }
}

TEST_F(SampleWalksTest, ManyRandomReadersOfALargeDatasetCauseNothing) {
  std::mt19937 random(7);
  std::vector<uint32_t> nodes = FromTo(2, 10'000);
  std::shuffle(nodes.begin(), nodes.end(), random);
  for (uint32_t const node : nodes) EXPECT_TRUE(Read(node, node % 16).empty());
}

TEST_F(SampleWalksTest, AWalkAmongRandomReadersIsFound) {
  std::mt19937 random(7);
  for (uint32_t i = 100; i < 1000; ++i) {
    Read(i, 1);
    for (uint32_t reader = 2; reader < 6; ++reader)
      Read(2000 + static_cast<uint32_t>(random() % 8000), reader);
  }
  for (uint32_t i = 110; i < 1000; ++i) EXPECT_TRUE(wished_.contains(i)) << i;
}

TEST_F(SampleWalksTest, FilesThatTheKernelHasAreSteppedOver) {
  for (uint32_t i = 100; i < 1000; ++i) {
    if (i > 200 && i % 3 == 0) continue;  // in its page cache: no READ is seen
    Read(i);
  }
  EXPECT_EQ(miss_count_, 5u);
}

TEST_F(SampleWalksTest, WhatIsInMemoryStartsNoWalk) {
  for (uint32_t i = 300; i < 400; ++i) in_memory_.insert(i);
  for (uint32_t i = 300; i < 400; ++i) EXPECT_TRUE(Read(i).empty());
  for (uint32_t i = 400; i < 500; ++i) Read(i);
  EXPECT_EQ(miss_count_, 5u);
}

TEST_F(SampleWalksTest, WhatIsInMemoryExtendsOne) {
  for (uint32_t i = 600; i < 700; i += 2) in_memory_.insert(i);
  for (uint32_t i = 601; i < 605; ++i) EXPECT_TRUE(Read(i).empty());
  EXPECT_EQ(Read(605), FromTo(606, 614));
}

TEST_F(SampleWalksTest, ASecondWalkOverTheSameFilesIsFoundToo) {
  for (uint32_t i = 100; i < 400; ++i) Read(i);
  wished_.clear();  // evicted
  miss_count_ = 0;
  for (uint32_t i = 100; i < 1000; ++i) {
    for (BlockKey const key : walks().OnFirstRead({NodeId{i}, ReaderId{1}, wished_.contains(i)})) {
      wished_.insert(key.node.value);
    }
  }
  for (uint32_t i = 110; i < 400; ++i) EXPECT_TRUE(wished_.contains(i)) << i;
  for (uint32_t i = 700; i < 1000; ++i) EXPECT_TRUE(wished_.contains(i)) << i;
}

TEST_F(SampleWalksTest, RandomReadsOfAnyKindLeaveItConsistent) {
  options_.run_count_max = 5;
  order_.end = 300;
  std::mt19937 random(11);
  auto const below = [&random](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  for (int i = 0; i < 50'000; ++i) {
    uint32_t const from = 2 + below(298);
    uint32_t const count = below(12);
    for (uint32_t node = from; node < std::min(300u, from + count); ++node) {
      std::set<uint32_t> wished;
      for (BlockKey const key :
           walks().OnFirstRead({NodeId{node}, ReaderId{below(3)}, below(4) == 0})) {
        EXPECT_TRUE(wished.insert(key.node.value).second);
        EXPECT_LT(key.node.value, 300u);
      }
      EXPECT_LE(wished.size(), 256u);
    }
  }
}

}  // namespace
}  // namespace stokefs::cache
