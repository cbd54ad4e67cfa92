// A dense array that grows without moving its elements: segments of a fixed size, never copied.
//
// Why not std::vector: doubling a vector of millions of entries copies tens of MB under the lock
// that guards it (and holds both copies meanwhile), and it moves what others point to. Not
// thread-safe; a reference to an element stays valid as long as the array.
#pragma once

#include <bit>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace stokefs::base {

template <typename T>
class SegmentedArray {
 public:
  T& operator[](size_t index) { return segments_[index >> kShift][index & kMask]; }
  const T& operator[](size_t index) const { return segments_[index >> kShift][index & kMask]; }
  size_t size() const { return size_; }

  void PushBack(T value) {
    if (size_ == segments_.size() << kShift)
      segments_.push_back(std::make_unique_for_overwrite<T[]>(size_t{1} << kShift));
    (*this)[size_++] = std::move(value);
  }
  // Appends copies of `value` until there are at least `count` elements.
  void GrowTo(size_t count, const T& value) {
    while (size_ < count) PushBack(value);
  }
  // Bytes held, unused ends of the last segment included.
  size_t FootprintBytes() const {
    return (segments_.size() << kShift) * sizeof(T) + segments_.capacity() * sizeof(segments_[0]);
  }

 private:
  // About 64 KiB a segment: the directory of a million 32-byte entries is 4 KiB, in the L1 cache.
  static constexpr size_t kShift = std::bit_width((size_t{1} << 16) / sizeof(T)) - 1;
  static constexpr size_t kMask = (size_t{1} << kShift) - 1;

  std::vector<std::unique_ptr<T[]>> segments_;
  size_t size_ = 0;
};

}  // namespace stokefs::base
