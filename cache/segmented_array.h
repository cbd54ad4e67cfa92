// An array that grows without moving: segments of a fixed count, taken one at a time.
//
// Growing a vector of a million nodes would need one and a half times its size for a moment; this
// needs one segment. Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace stokefs::cache {

template <typename T, size_t kSegmentCount>
class SegmentedArray {
 public:
  size_t Count() const { return count_; }
  T& operator[](size_t index) { return segments_[index / kSegmentCount][index % kSegmentCount]; }
  const T& operator[](size_t index) const {
    return segments_[index / kSegmentCount][index % kSegmentCount];
  }
  void PushBack(T value) {
    if (count_ == segments_.size() * kSegmentCount) {
      segments_.push_back(std::make_unique_for_overwrite<T[]>(kSegmentCount));
    }
    (*this)[count_] = std::move(value);
    ++count_;
  }
  size_t MemoryBytes() const { return segments_.size() * kSegmentCount * sizeof(T); }

 private:
  std::vector<std::unique_ptr<T[]>> segments_;
  size_t count_ = 0;
};

}  // namespace stokefs::cache
