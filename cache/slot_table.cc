#include "cache/slot_table.h"

#include "base/check.h"

namespace stokefs::cache {

SlotTable::SlotTable() { buckets_.PushBack(Slot::kNoSlot); }

SlotIndex SlotTable::Take() {
  if (unused_ == Slot::kNoSlot) {
    STOKEFS_CHECK(slots_.size() < Slot::kNoSlot);
    slots_.PushBack({});
    return {static_cast<uint32_t>(slots_.size() - 1)};
  }
  SlotIndex const slot{unused_};
  unused_ = slots_[slot.value].next;
  return slot;
}

void SlotTable::Return(SlotIndex slot) {
  slots_[slot.value] = {.next = unused_};
  unused_ = slot.value;
}

std::optional<SlotIndex> SlotTable::Find(BlockKey key) const {
  uint32_t slot = buckets_[BucketOf(key)];
  while (slot != Slot::kNoSlot && slots_[slot].key != key) slot = slots_[slot].next;
  if (slot == Slot::kNoSlot) return std::nullopt;
  return SlotIndex{slot};
}

void SlotTable::Insert(SlotIndex slot) {
  if (++indexed_count_ > buckets_.size()) SplitOneBucket();
  uint32_t& head = buckets_[BucketOf(slots_[slot.value].key)];
  slots_[slot.value].next = head;
  head = slot.value;
}

void SlotTable::Erase(SlotIndex slot) {
  uint32_t* link = &buckets_[BucketOf(slots_[slot.value].key)];
  while (*link != slot.value) {
    STOKEFS_CHECK(*link != Slot::kNoSlot);
    link = &slots_[*link].next;
  }
  *link = slots_[slot.value].next;
  slots_[slot.value].next = Slot::kNoSlot;
  --indexed_count_;
}

size_t SlotTable::BucketOf(BlockKey key) const {
  size_t const hash = BlockKeyHash()(key);
  size_t const bucket = hash & (base_count_ - 1);
  return bucket < split_ ? hash & (2 * base_count_ - 1) : bucket;
}

void SlotTable::SplitOneBucket() {
  uint32_t slot = buckets_[split_];
  buckets_[split_] = Slot::kNoSlot;
  buckets_.PushBack(Slot::kNoSlot);
  if (++split_ == base_count_) {
    base_count_ *= 2;
    split_ = 0;
  }
  while (slot != Slot::kNoSlot) {
    uint32_t const next = slots_[slot].next;
    uint32_t& head = buckets_[BucketOf(slots_[slot].key)];
    slots_[slot].next = head;
    head = slot;
    slot = next;
  }
}

}  // namespace stokefs::cache
