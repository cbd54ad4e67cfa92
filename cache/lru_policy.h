// Least recently used goes first. A doubly linked list through an array by slot: 8 bytes a slot.
#pragma once

#include "base/segmented_array.h"
#include "cache/replacement_policy.h"

namespace stokefs::cache {

class LruPolicy final : public ReplacementPolicy {
 public:
  LruPolicy();

  void OnInsert(SlotIndex slot, BlockKey key, uint64_t size_bytes) override;
  void OnRead(SlotIndex slot, ReaderId reader) override;
  void OnRemove(SlotIndex slot) override;
  // O(1) but for slots at the cold end that the filter holds back.
  std::optional<SlotIndex> ChooseVictim(const SlotFilter& filter) override;

 private:
  // Entry 0 is the list's end: its `colder` is the most recently used. Slot s is entry s + 1.
  struct Entry {
    uint32_t warmer = 0, colder = 0;
  };
  static_assert(sizeof(Entry) == 8);

  void Link(uint32_t entry);
  void Unlink(uint32_t entry);

  base::SegmentedArray<Entry> entries_;
};

}  // namespace stokefs::cache
