// Counters that many threads raise and a snapshot reads. No registry: each component owns its own
// and says what they mean.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

namespace stokefs::base {

class Counter {
 public:
  void Add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};  // atomic: independent sums, no order needed
};

// Latencies in microseconds, in buckets of 1/8 octave: a quantile is right to 13%.
class LatencyHistogram {
 public:
  void Add(std::chrono::nanoseconds latency) {
    auto const us = latency.count() <= 0 ? 0 : static_cast<uint64_t>(latency.count()) / 1000;
    buckets_[Bucket(us)].fetch_add(1, std::memory_order_relaxed);
    sum_us_.fetch_add(us, std::memory_order_relaxed);
  }

  uint64_t Count() const {
    uint64_t count = 0;
    for (auto const& bucket : buckets_) count += bucket.load(std::memory_order_relaxed);
    return count;
  }
  uint64_t SumUs() const { return sum_us_.load(std::memory_order_relaxed); }

  // The upper edge, in µs, of the bucket that holds quantile `q` in [0, 1]; 0 when empty.
  uint64_t QuantileUs(double q) const {
    uint64_t const count = Count();
    if (count == 0) return 0;
    auto left = static_cast<uint64_t>(q * static_cast<double>(count - 1)) + 1;
    for (size_t i = 0; i < buckets_.size(); ++i) {
      uint64_t const here = buckets_[i].load(std::memory_order_relaxed);
      if (here >= left) return UpperEdgeUs(i);
      left -= here;
    }
    return UpperEdgeUs(buckets_.size() - 1);
  }

 private:
  // 0..15 µs exactly, then eight buckets an octave.
  static size_t Bucket(uint64_t us) {
    if (us < 16) return us;
    auto const octave = static_cast<size_t>(std::bit_width(us)) - 1;  // at least 4
    size_t const index = 16 + (octave - 4) * 8 + ((us >> (octave - 3)) & 7);
    return index < kBucketCount ? index : kBucketCount - 1;
  }
  static uint64_t UpperEdgeUs(size_t index) {
    if (index < 16) return index;
    size_t const octave = (index - 16) / 8 + 4;
    uint64_t const step = (index - 16) % 8;
    return ((8 + step + 1) << (octave - 3)) - 1;
  }

  static constexpr size_t kBucketCount = 16 + 8 * 36;  // to 2^40 µs, 12 days
  std::array<std::atomic<uint64_t>, kBucketCount> buckets_{};
  std::atomic<uint64_t> sum_us_{0};
};

}  // namespace stokefs::base
