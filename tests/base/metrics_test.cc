#include "base/metrics.h"

#include <gtest/gtest.h>

namespace stokefs::base {
namespace {

TEST(LatencyHistogram, QuantilesAreRightToAnEighthOfAnOctave) {
  LatencyHistogram histogram;
  for (int us = 1; us <= 100'000; ++us) histogram.Add(std::chrono::microseconds(us));
  EXPECT_NEAR(static_cast<double>(histogram.QuantileUs(0.5)), 50'000, 50'000 * 0.13);
  EXPECT_NEAR(static_cast<double>(histogram.QuantileUs(0.99)), 99'000, 99'000 * 0.13);
  EXPECT_EQ(histogram.Count(), 100'000u);
}

TEST(LatencyHistogram, SmallValuesAreExactAndHugeOnesCount) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.QuantileUs(0.5), 0u);
  histogram.Add(std::chrono::microseconds(7));
  EXPECT_EQ(histogram.QuantileUs(0), 7u);
  EXPECT_EQ(histogram.QuantileUs(1), 7u);
  histogram.Add(std::chrono::hours(24 * 365));
  EXPECT_GT(histogram.QuantileUs(1), 1'000'000'000u);
}

}  // namespace
}  // namespace stokefs::base
