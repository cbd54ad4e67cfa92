// page_cache = keep | drop | auto: whether the kernel keeps the pages of samples that were read.
#pragma once

#include <cstdint>

namespace stokefs::cache {

enum class PageCacheMode : uint8_t { kKeep, kDrop, kAuto };

constexpr const char* NameOf(PageCacheMode mode) {
  return mode == PageCacheMode::kKeep ? "keep" : mode == PageCacheMode::kDrop ? "drop" : "auto";
}

struct PageCacheSituation {
  uint64_t dataset_bytes = 0;
  uint64_t memory_budget_bytes = 0;  // of the memory tier
  uint64_t room_bytes = 0;           // what the cgroup or the machine leaves for page cache
  bool order_known = false;          // a plan says what is read next
};

// True when a sample is dropped from the kernel's cache after it was read whole. kAuto drops only
// while a dataset larger than the memory budget, or than the kernel's room, is read in an order
// that is not known: then the kernel's own LRU gives nearly no hits and hides reads from the
// daemon.
constexpr bool DropAfterRead(PageCacheMode mode, const PageCacheSituation& now) {
  if (mode != PageCacheMode::kAuto) return mode == PageCacheMode::kDrop;
  bool const fits =
      now.dataset_bytes <= now.memory_budget_bytes && now.dataset_bytes <= now.room_bytes;
  return !fits && !now.order_known;
}

}  // namespace stokefs::cache
