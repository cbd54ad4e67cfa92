// LRU, FIFO and the pinned set.
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>

#include "cache/baseline/pinned.h"
#include "cache/baseline/recency.h"
#include "tests/support/policy_memory.h"

namespace stokefs::cache::baseline {
namespace {

using stokefs::testing::HoldBackSamples;
using stokefs::testing::PolicyMemory;

// Hits of a list that is moved through on reads, or not.
template <typename Policy>
void CompareWithAList(bool moves_on_read) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto const shape = DatasetShape::Even({.sample_count = 300, .chunk_samples = 10});
  Policy policy(shape);
  PolicyMemory memory(shape, 100, policy);
  std::list<uint32_t> model;
  for (int step = 0; step < 20'000; ++step) {
    uint32_t const sample = std::min(random() % 300, random() % 300);
    auto const at = std::find(model.begin(), model.end(), sample);
    ASSERT_EQ(memory.Read(sample), at != model.end()) << "step " << step;
    if (at == model.end()) {
      if (model.size() == 100) model.pop_front();
      model.push_back(sample);
    } else if (moves_on_read) {
      model.splice(model.end(), model, at);
    }
  }
}

TEST(LruBaseline, HitsLikeAListOrderedByRead) { CompareWithAList<Lru>(true); }

TEST(FifoBaseline, HitsLikeAQueueThatReadsDoNotMove) { CompareWithAList<Fifo>(false); }

TEST(FifoBaseline, PassesOverWhatIsHeldBack) {
  auto const shape = DatasetShape::Even({.sample_count = 3, .chunk_samples = 3});
  Fifo policy(shape);
  for (uint32_t i : {2, 0, 1}) policy.OnInsert({i});
  EXPECT_EQ(policy.ChooseVictim(HoldBackSamples({2}))->value, 0u);
  EXPECT_FALSE(policy.ChooseVictim(HoldBackSamples({0, 1, 2})).has_value());
}

TEST(PinnedBaseline, ReadsItsSetAheadAndNeverChangesIt) {
  auto const shape = DatasetShape::Even({.sample_count = 30, .chunk_samples = 10});
  Pinned policy(shape, {.capacity_bytes = 15});
  PolicyMemory memory(shape, 15, policy);
  for (uint32_t i = 0; i < 60; ++i) memory.Read(i % 30);
  EXPECT_EQ(memory.held().size(), 15u);
  EXPECT_TRUE(memory.Holds(0) && memory.Holds(14));
  EXPECT_EQ(memory.wish_count(), 2u);
}

TEST(PinnedBaseline, KeepsTheLargestWeights) {
  auto const shape = DatasetShape::Even({.sample_count = 6, .chunk_samples = 2});
  std::vector<float> const weights = {1, 9, 2, 8, 3, 7};
  Pinned policy(shape, {.capacity_bytes = 3}, weights);
  PolicyMemory memory(shape, 3, policy);
  memory.FulfilWishes();
  EXPECT_EQ(memory.held(), (std::set<uint32_t>{1, 3, 5}));
}

}  // namespace
}  // namespace stokefs::cache::baseline
