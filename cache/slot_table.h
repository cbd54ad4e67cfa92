// The memory tier's slots and the index that finds them by key. Not thread-safe.
//
// The index is a hash table with one chain a bucket that grows by linear hashing (Litwin, "Linear
// hashing: a new tool for file and table addressing", VLDB 1980): each insertion past one slot a
// bucket splits one bucket, so no insertion ever rehashes everything under the tier's lock.
// Open addressing would save the chain's 4 bytes but needs such rehashes, or tombstones.
#pragma once

#include <cstdint>
#include <optional>

#include "base/segmented_array.h"
#include "cache/ids.h"
#include "cache/replacement_policy.h"
#include "cache/slot_allocator.h"

namespace stokefs::cache {

struct Slot {
  BlockKey key;
  uint64_t digest = 0;
  uint32_t size_bytes = 0;       // of the block, without rounding
  SlotAllocator::BlockId block;  // where it lies
  uint32_t next = kNoSlot;       // in the chain of its bucket, or of unused slots
  uint32_t lease_word = 0;       // see memory_tier.cc; atomic while leases live

  static constexpr uint32_t kNoSlot = ~uint32_t{0};
};
static_assert(sizeof(Slot) == 32);

class SlotTable {
 public:
  SlotTable();

  // A slot that the index does not know yet. References to slots stay valid; indices are reused.
  SlotIndex Take();
  void Return(SlotIndex slot);  // must not be in the index

  Slot& operator[](SlotIndex slot) { return slots_[slot.value]; }
  const Slot& operator[](SlotIndex slot) const { return slots_[slot.value]; }

  std::optional<SlotIndex> Find(BlockKey key) const;
  void Insert(SlotIndex slot);  // under its key, which must not be in the index
  void Erase(SlotIndex slot);

  size_t slot_count() const { return slots_.size(); }  // used or not: indices are below
  uint64_t indexed_count() const { return indexed_count_; }
  size_t FootprintBytes() const { return slots_.FootprintBytes() + buckets_.FootprintBytes(); }

 private:
  size_t BucketOf(BlockKey key) const;
  void SplitOneBucket();

  base::SegmentedArray<Slot> slots_;
  base::SegmentedArray<uint32_t> buckets_;  // the first slot of each chain
  uint32_t unused_ = Slot::kNoSlot;
  uint64_t indexed_count_ = 0;
  // Buckets below split_ and those from base_count_ up are addressed by one more bit of the hash.
  size_t base_count_ = 1, split_ = 0;
};

}  // namespace stokefs::cache
