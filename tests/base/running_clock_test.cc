#include "base/running_clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"

namespace stokefs::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kStepMax = milliseconds(500);

TEST(RunningClock, GoesAsTheInnerClockWhileItTicks) {
  testing::FakeClock inner;
  RunningClock clock(inner, kStepMax);
  TimePoint const start = clock.Now();
  EXPECT_EQ(start, inner.Now());
  for (int i = 0; i < 100; ++i) {
    inner.Advance(milliseconds(20));
    EXPECT_EQ(clock.Now() - start, milliseconds(20) * (i + 1));
    clock.Tick();
  }
  inner.Advance(kStepMax);
  clock.Tick();
  EXPECT_EQ(clock.Now(), inner.Now());
}

TEST(RunningClock, CountsOneStepOfAStopBeforeAndAfterTheTick) {
  testing::FakeClock inner;
  RunningClock clock(inner, kStepMax);
  TimePoint const start = clock.Now();
  inner.Advance(seconds(3));  // stopped
  EXPECT_EQ(clock.Now() - start, kStepMax);
  clock.Tick();
  EXPECT_EQ(clock.Now() - start, kStepMax);
  inner.Advance(milliseconds(20));
  EXPECT_EQ(clock.Now() - start, kStepMax + milliseconds(20));
  clock.Tick();
  inner.Advance(seconds(7));
  clock.Tick();
  EXPECT_EQ(clock.Now() - start, 2 * kStepMax + milliseconds(20));
}

TEST(RunningClock, NeverGoesBackWhoeverLooks) {
  testing::FakeClock inner;
  RunningClock clock(inner, kStepMax);
  std::atomic<bool> ended{false};
  std::atomic<int> backward_count{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      TimePoint last{};
      while (!ended) {
        TimePoint const now = clock.Now();
        if (now < last) ++backward_count;
        last = now;
      }
    });
  }
  for (int i = 0; i < 20'000; ++i) {
    inner.Advance(i % 7 == 0 ? Duration(seconds(3)) : Duration(milliseconds(20)));
    clock.Tick();
  }
  ended = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(backward_count, 0);
}

}  // namespace
}  // namespace stokefs::base
