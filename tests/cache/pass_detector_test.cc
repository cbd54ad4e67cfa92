#include "cache/pass_detector.h"

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

constexpr uint32_t kCount = 5'000;

class Passes : public ::testing::Test {
 protected:
  std::vector<uint32_t> Epoch(uint32_t count = kCount) {
    std::vector<uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random_);
    return order;
  }
  // The positions in `reads` at which a pass was seen to have begun.
  std::vector<size_t> Begins(const std::vector<uint32_t>& reads) {
    std::vector<size_t> begins;
    for (size_t i = 0; i < reads.size(); ++i)
      if (detector_.OnRead({reads[i]})) begins.push_back(i + 1 - detector_.opening().size());
    return begins;
  }
  static void Append(std::vector<uint32_t>& reads, const std::vector<uint32_t>& more,
                     size_t count = kCount) {
    reads.insert(reads.end(), more.begin(),
                 more.begin() + static_cast<std::ptrdiff_t>(std::min(count, more.size())));
  }

  std::mt19937 random_{9};
  PassDetector detector_{{.sample_count = kCount, .scope_count = kCount}};
};

TEST_F(Passes, ACompleteEpochEndsWithItsLastRead) {
  std::vector<uint32_t> reads;
  for (int epoch = 0; epoch < 3; ++epoch) Append(reads, Epoch());
  EXPECT_EQ(Begins(reads), (std::vector<size_t>{0, kCount, 2 * kCount}));
  EXPECT_FALSE(detector_.LooksWeighted());
}

TEST_F(Passes, WhatDropLastLeavesOutDoesNotHideTheEnd) {
  std::vector<uint32_t> reads;
  for (int epoch = 0; epoch < 3; ++epoch) Append(reads, Epoch(), kCount - 100);
  auto const begins = Begins(reads);
  ASSERT_EQ(begins.size(), 3u);
  EXPECT_NEAR(static_cast<double>(begins[1]), kCount - 100, 3);
  EXPECT_NEAR(static_cast<double>(begins[2]), 2 * (kCount - 100), 3);
}

TEST_F(Passes, ASubsetIsReadInPassesOfItsOwn) {
  std::vector<uint32_t> reads;
  for (int epoch = 0; epoch < 8; ++epoch) Append(reads, Epoch(700));
  EXPECT_EQ(Begins(reads), (std::vector<size_t>{0, 700, 1400, 2100, 2800, 3500, 4200, 4900}));
  EXPECT_FALSE(detector_.LooksWeighted());
}

TEST_F(Passes, EpochsOfWhichHalfIsHiddenAreNoDrawsByWeights) {
  std::vector<uint32_t> reads;
  for (int epoch = 0; epoch < 12; ++epoch) Append(reads, Epoch(), kCount / 2);
  auto const begins = Begins(reads);
  EXPECT_FALSE(detector_.LooksWeighted());
  ASSERT_EQ(begins.size(), 12u);
  for (size_t i = 0; i < begins.size(); ++i)
    EXPECT_NEAR(static_cast<double>(begins[i]), static_cast<double>(i * kCount / 2), 64) << i;
}

TEST_F(Passes, ARestartInMidEpochBeginsAPassWithinAFewReads) {
  for (double const share : {0.2, 0.5, 0.9}) {
    detector_ = PassDetector({.sample_count = kCount, .scope_count = kCount});
    std::vector<uint32_t> reads;
    auto const crash = static_cast<size_t>(share * kCount);
    Append(reads, Epoch(), crash);
    Append(reads, Epoch());
    size_t first_told = 0;
    size_t count = 0;
    for (size_t i = 0; i < reads.size(); ++i) {
      if (!detector_.OnRead({reads[i]})) continue;
      if (++count == 2) first_told = i;
    }
    EXPECT_EQ(count, 2u) << share;
    EXPECT_GE(first_told, crash);
    EXPECT_LT(first_told, crash + 150) << share;
    EXPECT_FALSE(detector_.LooksWeighted());
  }
}

TEST_F(Passes, AFewRetriesEndNoPass) {
  std::vector<uint32_t> reads;
  auto const order = Epoch();
  for (size_t i = 0; i < order.size(); ++i) {
    reads.push_back(order[i]);
    if (i % 50 == 30) reads.push_back(order[i / 2]);
  }
  EXPECT_EQ(Begins(reads).size(), 1u);
}

TEST_F(Passes, ARetryJustBeforeTheEndTakesNothingOfTheOldPassIntoTheNew) {
  auto const order = Epoch();
  for (size_t i = 0; i + 5 < order.size(); ++i) detector_.OnRead({order[i]});
  detector_.OnRead({order[0]});
  for (size_t i = order.size() - 5; i < order.size(); ++i) detector_.OnRead({order[i]});
  ASSERT_TRUE(detector_.OnRead({order[17]}));
  EXPECT_EQ(detector_.opening().size(), 1u);
  EXPECT_EQ(detector_.used_count(), 1u);
}

TEST_F(Passes, PaddingOfDistributedRanksShiftsNoEpoch) {
  std::vector<uint32_t> reads;
  for (int epoch = 0; epoch < 6; ++epoch) {
    auto const order = Epoch();
    Append(reads, order);
    Append(reads, order, 7);
  }
  auto const begins = Begins(reads);
  ASSERT_EQ(begins.size(), 7u) << "the last padding is taken for the beginning of another";
  for (size_t i = 0; i < begins.size(); ++i)
    EXPECT_NEAR(static_cast<double>(begins[i]), static_cast<double>(i) * (kCount + 7), 10) << i;
}

TEST_F(Passes, DrawsWithReplacementLookWeightedAndEpochsAfterThemDoNot) {
  std::vector<uint32_t> draws(3 * kCount);
  for (uint32_t& draw : draws) draw = static_cast<uint32_t>(random_() % kCount);
  Begins(draws);
  EXPECT_TRUE(detector_.LooksWeighted());
  std::vector<uint32_t> reads;
  for (int epoch = 0; epoch < 3; ++epoch) Append(reads, Epoch());
  Begins(reads);
  EXPECT_FALSE(detector_.LooksWeighted());
}

TEST_F(Passes, ADetectedEpochHitsTheBoundAsAToldOneDoes) {
  constexpr double kMemory = 0.2;
  auto const shape = DatasetShape::Even({.sample_count = kCount, .chunk_samples = 8});
  EpochPolicy policy(shape, {static_cast<uint64_t>(kMemory * kCount)});
  PolicyMemory memory(shape, static_cast<uint64_t>(kMemory * kCount), policy);
  double hits = 0;
  for (int epoch = 0; epoch < 4; ++epoch) {
    hits = 0;
    auto const order = Epoch();
    // drop_last: the end is seen a few reads late.
    for (size_t i = 0; i + 60 < order.size(); ++i) {
      if (detector_.OnRead({order[i]})) {
        policy.IsActive({0}) ? policy.OnEpoch({0}) : policy.StartJob({0});
        auto const opening = detector_.opening();
        for (SampleIndex const sample : opening.first(opening.size() - 1))
          memory.Holds(sample.value) ? policy.OnHit(sample, {0}) : policy.OnMiss(sample, {0});
      }
      hits += memory.Read(order[i]) ? 1 : 0;
    }
  }
  EXPECT_NEAR(hits / (kCount - 60), kMemory * (1 - std::log(kMemory)), 0.02);
}

}  // namespace
}  // namespace stokefs::cache
