// Memory that begins at a multiple of 4 KiB, as O_DIRECT wants it. Its bytes are not cleared.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

#include "base/check.h"

namespace stokefs::base {

// What O_DIRECT asks of offsets, lengths and memory on every common device (statx tells when not).
inline constexpr size_t kDirectAlignment = 4096;

constexpr uint64_t AlignDown(uint64_t value) { return value / kDirectAlignment * kDirectAlignment; }
constexpr uint64_t AlignUp(uint64_t value) { return AlignDown(value + kDirectAlignment - 1); }

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // `size_bytes` is rounded up to the alignment.
  explicit AlignedBuffer(size_t size_bytes)
      : size_bytes_(AlignUp(size_bytes)),
        bytes_(static_cast<std::byte*>(std::aligned_alloc(kDirectAlignment, size_bytes_))) {
    STOKEFS_CHECK(bytes_ != nullptr);
  }

  std::span<std::byte> bytes() { return {bytes_.get(), size_bytes_}; }
  std::span<const std::byte> bytes() const { return {bytes_.get(), size_bytes_}; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  size_t size_bytes_ = 0;
  std::unique_ptr<std::byte, Free> bytes_;
};

}  // namespace stokefs::base
