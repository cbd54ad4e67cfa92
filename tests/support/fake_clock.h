// A clock that stands still until the test moves it.
#pragma once

#include <atomic>

#include "base/clock.h"

namespace stokefs::testing {

class FakeClock final : public base::Clock {
 public:
  base::TimePoint Now() const override {
    return base::TimePoint(base::Duration(now_ns_.load(std::memory_order_relaxed)));
  }
  void Advance(base::Duration by) { now_ns_.fetch_add(by.count(), std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> now_ns_{1'000'000'000};
};

}  // namespace stokefs::testing
