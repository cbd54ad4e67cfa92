#include "base/bandwidth_meter.h"

#include <gtest/gtest.h>

namespace stokefs::base {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kMegabyte = 1'000'000;

class BandwidthMeterTest : public ::testing::Test {
 protected:
  void Work(milliseconds time, uint64_t bytes) {
    meter_.Update(now_, 0, true);
    now_ += time;
    meter_.Update(now_, bytes, false);
  }

  TimePoint now_{};
  BandwidthMeter meter_;
};

TEST_F(BandwidthMeterTest, NothingMeasuredIsZero) {
  EXPECT_EQ(meter_.BytesPerSecond(), 0u);
  meter_.Update(now_, 0, true);
  EXPECT_EQ(meter_.BytesPerSecond(), 0u);
}

TEST_F(BandwidthMeterTest, IsBytesByBusyTime) {
  Work(milliseconds(100), 10 * kMegabyte);
  EXPECT_NEAR(static_cast<double>(meter_.BytesPerSecond()), 100e6, 1e6);
}

TEST_F(BandwidthMeterTest, IdleTimeSaysNothing) {
  Work(milliseconds(100), 10 * kMegabyte);
  uint64_t const before = meter_.BytesPerSecond();
  now_ += std::chrono::hours(1);
  Work(milliseconds(0), 0);
  EXPECT_EQ(meter_.BytesPerSecond(), before);
}

TEST_F(BandwidthMeterTest, OverlappingWorkCountsItsTimeOnce) {
  meter_.Update(now_, 0, true);  // two begin
  meter_.Update(now_, 0, true);
  now_ += milliseconds(100);
  meter_.Update(now_, 5 * kMegabyte, true);
  now_ += milliseconds(100);
  meter_.Update(now_, 5 * kMegabyte, false);
  EXPECT_NEAR(static_cast<double>(meter_.BytesPerSecond()), 50e6, 3e6);
}

TEST_F(BandwidthMeterTest, FollowsADiskThatTurnsSlow) {
  for (int i = 0; i < 100; ++i) Work(milliseconds(100), 100 * kMegabyte);
  EXPECT_NEAR(static_cast<double>(meter_.BytesPerSecond()), 1000e6, 30e6);
  for (int i = 0; i < 100; ++i) Work(milliseconds(100), kMegabyte);
  EXPECT_NEAR(static_cast<double>(meter_.BytesPerSecond()), 10e6, 8e6);
}

}  // namespace
}  // namespace stokefs::base
