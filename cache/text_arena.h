// Names and link targets, one after another in large segments; never moved, never freed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace stokefs::cache {

// Views stay valid as long as the arena. Not thread-safe; reading beside adding needs a lock.
class TextArena {
 public:
  // A name (at most 255 bytes) and, of a link, its target (at most 4,095).
  uint32_t Add(std::string_view name, std::string_view target);
  std::string_view Name(uint32_t where) const;
  std::string_view Target(uint32_t where) const;  // only where one was added
  size_t MemoryBytes() const { return segments_.size() * kSegmentBytes; }

 private:
  // 4,096 of these are the 4 GiB that 32 bits can name.
  static constexpr size_t kSegmentBytes = 1u << 20;

  std::vector<std::unique_ptr<char[]>> segments_;
  size_t used_ = kSegmentBytes;  // of the last segment
};

}  // namespace stokefs::cache
