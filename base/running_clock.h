// A clock that stands still while the process does not run.
//
// A process that was stopped (SIGSTOP, a frozen cgroup, a suspended machine) comes back to
// deadlines that passed meanwhile, though nobody had the chance to meet them. So this clock counts
// no more than `step_max` between two ticks of a thread that ticks all the time. The choice of
// `step_max`: far above the period of the ticks, or a busy machine would stretch deadlines; below
// the deadlines, because that much of a stop counts all the same. It is the clock that knows, not
// whoever looks at deadlines, so that all who share it agree and it never goes back.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace stokefs::base {

class RunningClock final : public Clock {
 public:
  // `inner` outlives this.
  RunningClock(const Clock& inner, Duration step_max);

  // Thread-safe, without a lock. At most `step_max` after the last tick.
  TimePoint Now() const override;

  // By one thread only, more often than each `step_max`.
  void Tick();

 private:
  const Clock& inner_;
  const Duration step_max_;
  // A sequence lock (odd: being changed): both values are of one tick.
  std::atomic<uint32_t> sequence_{0};
  std::atomic<TimePoint> ticked_;              // by `inner_`
  std::atomic<Duration> skipped_{Duration{}};  // of `inner_` until then
};

}  // namespace stokefs::base
