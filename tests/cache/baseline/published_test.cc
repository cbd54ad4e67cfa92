// SHADE's and MemHub's rules.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "cache/baseline/memhub.h"
#include "cache/baseline/shade.h"
#include "tests/support/policy_memory.h"

namespace stokefs::cache::baseline {
namespace {

using stokefs::testing::HoldBackSamples;
using stokefs::testing::PolicyMemory;

TEST(ShadeBaseline, TheJthSmallestLossOfABatchWeighsLogOfJPlusTen) {
  auto const shape = DatasetShape::Even({.sample_count = 10, .chunk_samples = 5});
  Shade policy(shape, {.capacity_samples = 4, .batch_samples = 8});
  EXPECT_EQ(policy.WeightOf({3}), 1.0);
  policy.OnBatch(std::vector<SampleIndex>{{7}, {3}, {1}});
  EXPECT_DOUBLE_EQ(policy.WeightOf({7}), std::log(10.0));
  EXPECT_DOUBLE_EQ(policy.WeightOf({3}), std::log(11.0));
  EXPECT_DOUBLE_EQ(policy.WeightOf({1}), std::log(12.0));
}

TEST(ShadeBaseline, OnlyAMoreImportantSampleTakesThePlaceOfTheLeastImportant) {
  auto const shape = DatasetShape::Even({.sample_count = 10, .chunk_samples = 5});
  Shade policy(shape, {.capacity_samples = 2, .batch_samples = 8});
  PolicyMemory memory(shape, 2, policy);
  policy.OnBatch(std::vector<SampleIndex>{{0}, {1}, {2}, {3}});
  memory.Read(1);
  memory.Read(2);
  memory.Read(0);
  EXPECT_EQ(memory.held(), (std::set<uint32_t>{1, 2})) << "0 is the least important";
  memory.Read(3);
  EXPECT_EQ(memory.held(), (std::set<uint32_t>{2, 3}));
}

TEST(ShadeBaseline, ANewRankMovesASampleThatIsInMemory) {
  auto const shape = DatasetShape::Even({.sample_count = 10, .chunk_samples = 5});
  Shade policy(shape, {.capacity_samples = 2, .batch_samples = 8});
  PolicyMemory memory(shape, 2, policy);
  policy.OnBatch(std::vector<SampleIndex>{{0}, {1}});
  memory.Read(0);
  memory.Read(1);
  policy.OnBatch(std::vector<SampleIndex>{{5}, {1}, {0}});
  EXPECT_EQ(policy.ChooseVictim(HoldBackSamples())->value, 1u);
  policy.OnBatch(std::vector<SampleIndex>{{0}, {1}});
  EXPECT_EQ(policy.ChooseVictim(HoldBackSamples())->value, 0u);
}

std::vector<uint32_t> Shuffled(uint32_t count, std::mt19937& random) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

TEST(MemHubBaseline, GivesEachSampleOutOnceAnEpochAndLoadsAChunkAboutElevenTimes) {
  constexpr uint32_t kCount = 128 * 200;
  auto const shape = DatasetShape::Even({.sample_count = kCount, .chunk_samples = 128});
  MemHub policy(shape, {.group_chunks = 5});
  PolicyMemory memory(shape, kCount / 5, policy);
  std::mt19937 random(2);
  for (int epoch = 0; epoch < 2; ++epoch) {
    policy.OnEpoch({0});
    uint64_t const before = memory.wish_count();
    std::vector<bool> given(kCount);
    for (uint32_t const asked : Shuffled(kCount, random)) {
      SampleIndex const answer = policy.AnswerFor({asked});
      ASSERT_FALSE(given[answer.value]);
      ASSERT_EQ(answer.value % 128, asked % 128) << "another slot";
      given[answer.value] = true;
      memory.Read(answer.value);
    }
    EXPECT_TRUE(memory.held().empty());
    EXPECT_NEAR(static_cast<double>(memory.wish_count() - before) / 200, 11, 0.5);
  }
}

TEST(MemHubBaseline, AMissLoadsTheChunkThatFillsTheMostFreeSlots) {
  auto const shape = DatasetShape::Even({.sample_count = 8, .chunk_samples = 4});
  MemHub policy(shape, {.group_chunks = 2});
  PolicyMemory memory(shape, 4, policy);
  // Chunk 0 is loaded and given out but for its last sample.
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_EQ(policy.AnswerFor({i}).value, i);
    memory.Read(i);
  }
  EXPECT_EQ(memory.held(), (std::set<uint32_t>{3}));
  // Slot 1 is empty: chunk 1 fills three slots, chunk 0 none.
  EXPECT_EQ(policy.AnswerFor({1}).value, 5u);
  memory.Read(5);
  EXPECT_EQ(memory.held(), (std::set<uint32_t>{3, 4, 6}));
  // Slot 3 holds sample 3, whoever of its two is asked for.
  EXPECT_EQ(policy.AnswerFor({7}).value, 3u);
}

TEST(MemHubBaseline, ASlotAskedForTooOftenAnswersWithWhatWasAskedFor) {
  auto const shape = DatasetShape::Even({.sample_count = 4, .chunk_samples = 2});
  MemHub policy(shape, {.group_chunks = 2});
  PolicyMemory memory(shape, 2, policy);
  for (int i = 0; i < 2; ++i) memory.Read(policy.AnswerFor({0}).value);
  EXPECT_EQ(policy.AnswerFor({0}).value, 0u);
}

}  // namespace
}  // namespace stokefs::cache::baseline
