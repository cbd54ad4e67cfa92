// Several jobs, and random operations against a naive model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "cache/epoch_policy.h"
#include "tests/support/policy_memory.h"

namespace stokefs::cache {
namespace {

using stokefs::testing::HoldBackSamples;
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

TEST(EpochPolicyRandom, FollowsANaiveModelOverRandomOperations) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr uint32_t kCount = 120;
  std::vector<uint32_t> sizes(kCount);
  for (uint32_t& size : sizes) size = 1 + random() % 50;
  DatasetShape const shape(std::vector<uint32_t>(12, 10), sizes);
  EpochPolicy policy(shape, {800});

  struct Model {
    bool active = false;
    std::set<uint32_t> scope, unread;
  };
  std::array<Model, 3> jobs;
  std::set<uint32_t> cached, coming;
  for (int step = 0; step < 4'000; ++step) {
    auto const job = static_cast<uint8_t>(random() % 3);
    uint32_t const sample = random() % kCount;
    Model& model = jobs[job];
    switch (unsigned const action = random() % 40; action) {
      case 0: {
        if (model.active) break;
        std::vector<bool> scope(kCount);
        model = {.active = true};
        for (uint32_t i = 0; i < kCount; ++i)
          if ((scope[i] = random() % 4 > 0)) model.scope.insert(i);
        model.unread = model.scope;
        policy.StartJob({job}, scope);
        break;
      }
      case 1:
        if (!model.active || random() % 4 > 0) break;
        model = {};
        policy.EndJob({job});
        break;
      case 2:
        if (model.active) model.unread = model.scope;
        policy.OnEpoch({job});
        break;
      case 3:
      case 4:
      case 5: {
        ChunkWish wish;
        if (!policy.NextWish(wish)) break;
        for (SampleIndex const s : wish.samples) {
          ASSERT_FALSE(cached.contains(s.value) || coming.contains(s.value));
          ASSERT_TRUE(std::any_of(jobs.begin(), jobs.end(),
                                  [&](const Model& m) { return m.unread.contains(s.value); }));
          coming.insert(s.value);
        }
        break;
      }
      case 6:
      case 7:
      case 8:
      case 9:
        if (coming.empty()) break;
        if (random() % 8 == 0) {
          policy.OnWishDropped({*coming.begin()});
        } else {
          policy.OnInsert({*coming.begin()});
          cached.insert(*coming.begin());
        }
        coming.erase(coming.begin());
        break;
      case 10:
      case 11: {
        HoldBackSamples const filter({sample, static_cast<uint32_t>(random() % kCount)});
        auto const victim = policy.ChooseVictim(filter);
        bool const any_may_go = std::any_of(cached.begin(), cached.end(),
                                            [&](uint32_t i) { return filter.MayGo({i}); });
        ASSERT_EQ(victim.has_value(), any_may_go);
        if (!victim) break;
        ASSERT_TRUE(cached.contains(victim->value) && filter.MayGo(*victim));
        auto const is_spent = [&](uint32_t i) {
          return std::none_of(jobs.begin(), jobs.end(),
                              [&](const Model& m) { return m.unread.contains(i); });
        };
        bool const any_spent = std::any_of(cached.begin(), cached.end(), [&](uint32_t i) {
          return filter.MayGo({i}) && is_spent(i);
        });
        ASSERT_EQ(is_spent(victim->value), any_spent);
        policy.OnRemove(*victim);
        cached.erase(victim->value);
        break;
      }
      default:
        cached.contains(sample) ? policy.OnHit({sample}, {job}) : policy.OnMiss({sample}, {job});
        model.unread.erase(sample);
    }
    for (uint8_t j = 0; j < 3; ++j)
      for (uint32_t i = 0; i < kCount; ++i)
        ASSERT_EQ(policy.Wants({j}, {i}), jobs[j].unread.contains(i)) << "step " << step;
    policy.CheckConsistency();
  }
}

}  // namespace
}  // namespace stokefs::cache
