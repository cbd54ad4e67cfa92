// Several jobs at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "cache/epoch_policy.h"
#include "tests/support/policy_memory.h"

namespace stokefs::cache {
namespace {

using stokefs::testing::PolicyMemory;

double Bound(double c) { return c * (1 - std::log(c)); }

std::vector<uint32_t> Shuffled(uint32_t count, std::mt19937& random) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

class TwoJobs : public ::testing::Test {
 protected:
  static constexpr uint32_t kCount = 10'000;
  static constexpr uint64_t kCapacity = 2'000;

  // Hit ratios of the last of `epochs`; job 1 starts `lag` reads later and reads one sample for
  // each `pace` of job 0's.
  std::array<double, 2> Run(uint32_t lag, uint32_t pace, uint32_t epochs) {
    std::array<std::vector<uint32_t>, 2> orders;
    std::array<uint32_t, 2> read_counts{};
    std::array<double, 2> hits{}, ratios{};
    auto const step = [&](uint8_t job) {
      if (read_counts[job] % kCount == 0) {
        if (read_counts[job] > 0) ratios[job] = hits[job] / kCount;
        hits[job] = 0;
        orders[job] = Shuffled(kCount, random_);
        policy_.IsActive({job}) ? policy_.OnEpoch({job}) : policy_.StartJob({job});
      }
      hits[job] += memory_.Read(orders[job][read_counts[job] % kCount], job) ? 1 : 0;
      ++read_counts[job];
    };
    for (uint32_t tick = 0; tick <= kCount * epochs; ++tick) {
      step(0);
      if (tick >= lag && (tick - lag) % pace == 0) step(1);
    }
    policy_.CheckConsistency();
    return ratios;
  }

  std::mt19937 random_{11};
  DatasetShape shape_ = DatasetShape::Even({.sample_count = kCount, .chunk_samples = 16});
  EpochPolicy policy_{shape_, {kCapacity}};
  PolicyMemory memory_{shape_, kCapacity, policy_};
};

TEST_F(TwoJobs, ASampleStaysUntilBothHaveUsedIt) {
  policy_.StartJob({0});
  policy_.StartJob({1});
  memory_.FulfilWishes();
  memory_.ReadOnly(7, 0);
  EXPECT_EQ(policy_.SpentBytes(), 0u);
  EXPECT_TRUE(policy_.Wants({1}, {7}));
  memory_.ReadOnly(7, 1);
  EXPECT_EQ(policy_.SpentBytes(), 1u);
}

TEST_F(TwoJobs, WhenAJobEndsWhatOnlyItWantedIsSpent) {
  policy_.StartJob({0});
  policy_.StartJob({1});
  memory_.FulfilWishes();
  for (uint32_t i = 0; i < 100; ++i) memory_.ReadOnly(i, 0);
  EXPECT_EQ(policy_.SpentBytes(), 0u);
  policy_.EndJob({1});
  EXPECT_EQ(policy_.SpentBytes(), 100u);
  policy_.CheckConsistency();
}

TEST(TwoJobsSharing, AJobBelowItsQuotaKeepsWhatItWantsThoughTheOtherIsLikelierToReadItsOwn) {
  auto const shape = DatasetShape::Even({.sample_count = 100, .chunk_samples = 10});
  EpochPolicy policy(shape, {20});
  PolicyMemory memory(shape, 20, policy);
  policy.StartJob({0});
  memory.FulfilWishes();
  policy.StartJob({1});
  for (uint32_t i = 0; i < 15; ++i) policy.OnHit({i}, {1});     // only job 0 wants these now
  for (uint32_t i = 15; i < 18; ++i) policy.OnHit({i}, {0});    // only job 1 wants these now
  for (uint32_t i = 40; i < 100; ++i) policy.OnMiss({i}, {0});  // job 0 is nearer to its end
  ASSERT_LT(policy.UnreadBytes({0}), policy.UnreadBytes({1}));
  ASSERT_EQ(policy.SpentBytes(), 0u);
  EXPECT_LT(policy.ChooseVictim(stokefs::testing::HoldBackSamples())->value, 15u);
}

TEST_F(TwoJobs, OutOfPhaseEachHitsAtLeastWhatItWouldWithHalfTheMemory) {
  auto const ratios = Run(kCount / 2, 1, 4);
  EXPECT_GT(ratios[0], Bound(0.1) - 0.01);
  EXPECT_GT(ratios[1], Bound(0.1) - 0.01);
}

TEST_F(TwoJobs, AtDifferentPacesEachHitsAtLeastWhatItWouldWithHalfTheMemory) {
  auto const ratios = Run(100, 3, 7);
  EXPECT_GT(ratios[0], Bound(0.1) - 0.01);
  EXPECT_GT(ratios[1], Bound(0.1) - 0.01);
}

TEST_F(TwoJobs, AJobThatHasStoppedWithoutEndingLeavesTheOtherHalfOfMemory) {
  policy_.StartJob({1});
  memory_.FulfilWishes();
  double hits = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    epoch == 0 ? policy_.StartJob({0}) : policy_.OnEpoch({0});
    hits = 0;
    for (uint32_t const sample : Shuffled(kCount, random_)) hits += memory_.Read(sample, 0) ? 1 : 0;
  }
  EXPECT_GT(hits / kCount, Bound(0.1) - 0.01);
}

TEST_F(TwoJobs, InStepTheSecondReaderOfASampleFindsIt) {
  policy_.StartJob({0});
  policy_.StartJob({1});
  memory_.FulfilWishes();
  double first_hits = 0, second_hits = 0;
  for (int epoch = 0; epoch < 2; ++epoch) {
    first_hits = second_hits = 0;
    if (epoch > 0) policy_.OnEpoch({0});
    if (epoch > 0) policy_.OnEpoch({1});
    for (uint32_t const sample : Shuffled(kCount, random_)) {
      first_hits += memory_.Read(sample, 0) ? 1 : 0;
      second_hits += memory_.Read(sample, 1) ? 1 : 0;
    }
  }
  EXPECT_NEAR(first_hits / kCount, Bound(0.2), 0.015);
  EXPECT_GT(second_hits / kCount, 0.99);
}

TEST_F(TwoJobs, AValidationPassCostsTheTrainingLittle) {
  // Job 1 reads the last 5% (as another folder) in the middle of job 0's epochs.
  std::vector<bool> training(kCount), validation(kCount);
  for (uint32_t i = 0; i < kCount; ++i) (i < kCount * 95 / 100 ? training : validation)[i] = true;
  policy_.StartJob({0}, training);
  double hits = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    if (epoch > 0) policy_.OnEpoch({0});
    hits = 0;
    uint32_t done = 0;
    for (uint32_t const sample : Shuffled(kCount * 95 / 100, random_)) {
      if (++done == kCount / 3) {
        policy_.StartJob({1}, validation);
        for (uint32_t i = kCount * 95 / 100; i < kCount; ++i) memory_.Read(i, 1);
        policy_.EndJob({1});
      }
      hits += memory_.Read(sample, 0) ? 1 : 0;
    }
  }
  EXPECT_GT(hits / (kCount * 0.95), Bound(0.2 / 0.95) - 0.03);
}

TEST_F(TwoJobs, AWeightedAndAUniformJobShareMemory) {
  for (uint32_t i = 0; i < kCount; ++i) policy_.SetImportance({i}, i < 1'000 ? 9 : 0.1);
  policy_.StartJob({0});
  policy_.StartJob({1});
  policy_.SetSampling({1}, EpochPolicy::Sampling::kWeighted);
  double hits = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    if (epoch > 0) policy_.OnEpoch({0});
    hits = 0;
    for (uint32_t const sample : Shuffled(kCount, random_)) hits += memory_.Read(sample, 0) ? 1 : 0;
  }
  EXPECT_GT(hits / kCount, Bound(0.1) - 0.01);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < 1'000; ++i) kept += memory_.Holds(i) ? 1 : 0;
  EXPECT_GT(kept, 950u);
}

}  // namespace
}  // namespace stokefs::cache
