#include "cache/evictable_stretch.h"

namespace stokefs::cache {

EvictableStretch FindEvictableStretch(const SlotAllocator& allocator, SlotAllocator::BlockId around,
                                      uint64_t size_bytes, const SlotFilter& filter) {
  using BlockId = SlotAllocator::BlockId;
  auto const passable = [&](BlockId block) {
    return block != BlockId{} &&
           (allocator.IsFree(block) || filter.MayGo(allocator.OwnerOf(block)));
  };
  auto const cost = [&](BlockId block) {
    return allocator.IsFree(block) ? 0 : allocator.SizeOf(block);
  };

  EvictableStretch best;
  BlockId first = around;
  for (uint64_t left_bytes = 0; left_bytes < size_bytes && passable(allocator.Before(first));) {
    first = allocator.Before(first);
    left_bytes += allocator.SizeOf(first);
    ++best.walked_count;
  }

  // [first, end) slides to the right as long as it contains `around`.
  bool past_around = false;
  uint64_t sum_bytes = 0, evicted_bytes = 0;
  BlockId end = first, last = first;
  for (;; first = allocator.After(first)) {
    while ((sum_bytes < size_bytes || !past_around) && (end == first || passable(end))) {
      past_around = past_around || end == around;
      sum_bytes += allocator.SizeOf(end);
      evicted_bytes += cost(end);
      last = end;
      end = allocator.After(end);
      ++best.walked_count;
    }
    if (sum_bytes < size_bytes) break;
    if (!best.Found() || evicted_bytes < best.evicted_bytes) {
      best.first = first;
      best.last = last;
      best.evicted_bytes = evicted_bytes;
    }
    if (first == around) break;
    sum_bytes -= allocator.SizeOf(first);
    evicted_bytes -= cost(first);
  }
  return best;
}

}  // namespace stokefs::cache
