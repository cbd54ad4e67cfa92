#include "base/running_clock.h"

#include <algorithm>

namespace stokefs::base {

RunningClock::RunningClock(const Clock& inner, Duration step_max)
    : inner_(inner), step_max_(step_max), ticked_(inner.Now()) {}

TimePoint RunningClock::Now() const {
  for (;;) {
    uint32_t const sequence = sequence_.load(std::memory_order_acquire);
    TimePoint const ticked = ticked_.load(std::memory_order_acquire);
    Duration const skipped = skipped_.load(std::memory_order_acquire);
    bool const is_whole =
        sequence % 2 == 0 && sequence_.load(std::memory_order_relaxed) == sequence;
    if (is_whole) return std::min(inner_.Now(), ticked + step_max_) - skipped;
  }
}

void RunningClock::Tick() {
  TimePoint const now = inner_.Now();
  Duration const gap = now - ticked_.load(std::memory_order_relaxed);
  Duration const skipped = skipped_.load(std::memory_order_relaxed);
  uint32_t const sequence = sequence_.load(std::memory_order_relaxed);
  sequence_.store(sequence + 1, std::memory_order_relaxed);
  ticked_.store(now, std::memory_order_release);
  if (gap > step_max_) skipped_.store(skipped + gap - step_max_, std::memory_order_release);
  sequence_.store(sequence + 2, std::memory_order_release);
}

}  // namespace stokefs::base
