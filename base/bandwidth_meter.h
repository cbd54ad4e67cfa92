// Bytes a second of a device while it has something to do, the last seconds counting most.
//
// Two sums that decay with busy time, bytes and seconds; their ratio is the answer, so idle time
// says nothing and many small steps give the same as one large one. Not thread-safe.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace stokefs::base {

class BandwidthMeter {
 public:
  // At every begin and end of work: `bytes` were done since the last call, and from `now` on the
  // device has something to do, or not.
  void Update(TimePoint now, uint64_t bytes, bool is_busy) {
    if (is_busy_) {
      double const seconds = std::chrono::duration<double>(now - last_).count();
      double const kept = std::exp(-seconds / kMemorySeconds);
      seconds_ = seconds_ * kept + seconds;
      bytes_ = bytes_ * kept;
    }
    bytes_ += static_cast<double>(bytes);
    last_ = now;
    is_busy_ = is_busy;
  }

  uint64_t BytesPerSecond() const {
    return seconds_ > 0 ? static_cast<uint64_t>(bytes_ / seconds_) : 0;
  }

 private:
  // Long enough for some hundred operations of a slow disk, short enough to notice a change.
  static constexpr double kMemorySeconds = 2;

  double seconds_ = 0;
  double bytes_ = 0;
  TimePoint last_{};
  bool is_busy_ = false;
};

}  // namespace stokefs::base
