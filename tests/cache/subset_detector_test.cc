#include "cache/subset_detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace stokefs::cache {
namespace {

constexpr uint32_t kCount = 4000;

class SubsetDetectorTest : public ::testing::Test {
 protected:
  // Reads `samples` in a new order, and ends the pass. How many reads it took to change its mind;
  // -1: it did not.
  int Pass(std::vector<uint32_t> samples, SubsetDetector& detector, double hidden = 0) {
    std::shuffle(samples.begin(), samples.end(), dice_);
    int changed_at = -1;
    std::vector<bool> used(kCount);
    for (size_t i = 0; i < samples.size(); ++i) {
      if (std::uniform_real_distribution<>()(dice_) < hidden) continue;
      used[samples[i]] = true;
      if (detector.OnRead({samples[i]}) && changed_at < 0) changed_at = static_cast<int>(i);
    }
    detector.OnPass(used);
    return changed_at;
  }
  static std::vector<uint32_t> First(uint32_t count) {
    std::vector<uint32_t> samples(count);
    std::iota(samples.begin(), samples.end(), 0u);
    return samples;
  }
  std::vector<uint32_t> Random(uint32_t count) {
    std::vector<uint32_t> samples = First(kCount);
    std::shuffle(samples.begin(), samples.end(), dice_);
    samples.resize(count);
    return samples;
  }

  std::mt19937 dice_{9};
  SubsetDetector detector_{std::vector<bool>(kCount, true)};
};

TEST_F(SubsetDetectorTest, ASubsetIsSeenInTheSecondPassAfterFewReads) {
  std::vector<uint32_t> const subset = Random(kCount * 6 / 10);
  EXPECT_EQ(Pass(subset, detector_), -1);
  EXPECT_EQ(detector_.allowed_count(), kCount);
  int const seen = Pass(subset, detector_);
  EXPECT_GE(seen, 60);
  EXPECT_LE(seen, 100);
  EXPECT_EQ(detector_.allowed_count(), subset.size());
  for (uint32_t const sample : subset) EXPECT_TRUE(detector_.allowed()[sample]);
  EXPECT_EQ(Pass(subset, detector_), -1);  // and stays
  EXPECT_EQ(detector_.allowed_count(), subset.size());
}

TEST_F(SubsetDetectorTest, WhatTheKernelHidNowAndThenBelongsToTheSubset) {
  std::vector<uint32_t> const subset = Random(kCount / 2);
  for (int pass = 0; pass < 4; ++pass) Pass(subset, detector_, 0.02);
  EXPECT_LE(detector_.allowed_count(), subset.size());
  EXPECT_GE(detector_.allowed_count(), subset.size() * 99 / 100);
}

TEST_F(SubsetDetectorTest, PassesThatAreLeftEarlyAreNoSubset) {
  for (int pass = 0; pass < 50; ++pass) {
    EXPECT_EQ(Pass(Random(kCount * 3 / 10), detector_), -1);
    EXPECT_EQ(Pass(Random(kCount * 85 / 100), detector_), -1);
  }
  EXPECT_EQ(detector_.allowed_count(), kCount);
}

TEST_F(SubsetDetectorTest, AFewReadsAreNoPassToGoBy) {
  std::vector<uint32_t> const few = Random(60);
  for (int pass = 0; pass < 5; ++pass) EXPECT_EQ(Pass(few, detector_), -1);
}

TEST_F(SubsetDetectorTest, DroppedLastBatchesAreNoSubset) {
  for (int pass = 0; pass < 50; ++pass) EXPECT_EQ(Pass(Random(kCount * 97 / 100), detector_), -1);
}

TEST_F(SubsetDetectorTest, WhoReadsAllAgainAfterASubsetHasAllAgain) {
  std::vector<uint32_t> const subset = First(kCount / 4);
  Pass(subset, detector_);
  Pass(subset, detector_);
  ASSERT_EQ(detector_.allowed_count(), subset.size());
  int const seen = Pass(First(kCount), detector_);
  EXPECT_GE(seen, 8);
  EXPECT_LE(seen, 60);
  EXPECT_EQ(detector_.allowed_count(), kCount);
}

TEST_F(SubsetDetectorTest, ASmallerSubsetFollowsALargerOne) {
  Pass(First(kCount / 2), detector_);
  Pass(First(kCount / 2), detector_);
  Pass(First(kCount / 4), detector_);
  Pass(First(kCount / 4), detector_);
  EXPECT_EQ(detector_.allowed_count(), kCount / 4);
}

}  // namespace
}  // namespace stokefs::cache
