// The part of a job's plan that should be in memory now: the next samples that it will read, as far
// as they fit. Whoever keeps exactly those evicts by farthest next use (Belady, "A study of
// replacement algorithms for a virtual-storage computer", 1966) and reads ahead. One bit a sample.
// Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/dataset_shape.h"

namespace stokefs::cache {

class PlanWindow {
 public:
  // `order`: what the job will still read in this epoch; outlives this.
  PlanWindow(std::span<const SampleIndex> order, uint32_t sample_count)
      : order_(order), entered_(sample_count) {}

  bool Holds(SampleIndex sample) const { return entered_[sample.value]; }
  uint64_t bytes() const { return bytes_; }

  // The job has read `sample` for the first time in this epoch.
  void OnUse(SampleIndex sample, uint32_t size_bytes) {
    ++used_count_;
    if (!entered_[sample.value]) return;
    entered_[sample.value] = false;
    bytes_ -= size_bytes;
  }
  // The sample that the window would take in next; the caller says so, or passes over it.
  std::optional<SampleIndex> Next() const {
    if (end_ == order_.size()) return std::nullopt;
    return order_[end_];
  }
  void PassOver() { ++end_; }
  void TakeIn(uint32_t size_bytes) {
    entered_[order_[end_].value] = true;
    bytes_ += size_bytes;
    ++end_;
  }

  // The next sample of the window to be read ahead, as far as that is due: in the nearer half. One
  // read takes what the farther half holds of the same chunk along, so waiting makes reads larger.
  std::optional<SampleIndex> NextDue() const {
    if (fetch_ >= used_count_ + (end_ - std::min(end_, used_count_)) / 2 || fetch_ >= end_)
      return std::nullopt;
    return order_[fetch_];
  }
  void PassDue() { ++fetch_; }

 private:
  std::span<const SampleIndex> order_;
  std::vector<bool> entered_;  // by sample: in the window, and not used yet
  size_t used_count_ = 0;      // samples of the plan that were read: where the job is
  size_t fetch_ = 0;           // all before were read ahead, or used
  size_t end_ = 0;             // of the window in the plan
  uint64_t bytes_ = 0;         // of the samples that are entered
};

}  // namespace stokefs::cache
