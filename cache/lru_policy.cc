#include "cache/lru_policy.h"

namespace stokefs::cache {

LruPolicy::LruPolicy() { entries_.PushBack({}); }

void LruPolicy::OnInsert(SlotIndex slot, BlockKey, uint64_t) {
  entries_.GrowTo(size_t{slot.value} + 2, {});
  Link(slot.value + 1);
}

void LruPolicy::OnRead(SlotIndex slot, ReaderId) {
  uint32_t const entry = slot.value + 1;
  if (entries_[0].colder == entry) return;
  Unlink(entry);
  Link(entry);
}

void LruPolicy::OnRemove(SlotIndex slot) { Unlink(slot.value + 1); }

std::optional<SlotIndex> LruPolicy::ChooseVictim(const SlotFilter& filter) {
  for (uint32_t entry = entries_[0].warmer; entry != 0; entry = entries_[entry].warmer) {
    SlotIndex const slot{entry - 1};
    if (filter.MayGo(slot)) return slot;
  }
  return std::nullopt;
}

void LruPolicy::Link(uint32_t entry) {
  uint32_t const warmest = entries_[0].colder;
  entries_[entry] = {.warmer = 0, .colder = warmest};
  entries_[warmest].warmer = entry;
  entries_[0].colder = entry;
}

void LruPolicy::Unlink(uint32_t entry) {
  Entry const e = entries_[entry];
  entries_[e.warmer].colder = e.colder;
  entries_[e.colder].warmer = e.warmer;
}

}  // namespace stokefs::cache
