// Who goes when memory is full. The policy decides, the memory tier acts.
//
// Pure code: no clock, no I/O, no locks; the memory tier calls it under its own lock, so the same
// objects run in a simulator. Slots are named by their dense number, which the tier reuses after
// OnRemove, so a policy keeps arrays, not maps.
#pragma once

#include <cstdint>
#include <optional>

#include "cache/ids.h"

namespace stokefs::cache {

struct SlotIndex {
  uint32_t value = 0;

  auto operator<=>(const SlotIndex&) const = default;
};

struct SlotFilter {  // which slots may go now (leased ones may not)
  virtual ~SlotFilter() = default;
  virtual bool MayGo(SlotIndex slot) const = 0;
};

class ReplacementPolicy {
 public:
  virtual ~ReplacementPolicy() = default;
  // `slot` now holds `key`, `size_bytes` long.
  virtual void OnInsert(SlotIndex slot, BlockKey key, uint64_t size_bytes) = 0;
  // A reader was answered from `slot`.
  virtual void OnRead(SlotIndex slot, ReaderId reader) = 0;
  // `slot` is empty again, for whatever reason.
  virtual void OnRemove(SlotIndex slot) = 0;
  // The next slot to empty among those that `filter` lets go; none if there is no such slot.
  virtual std::optional<SlotIndex> ChooseVictim(const SlotFilter& filter) = 0;
  // Whether it tells what is worth something from what is not. Then the tier rather moves blocks
  // than lets go of those that are.
  virtual bool KnowsSpent() const { return false; }
  // The same, but only one that the policy knows to be worth nothing. For what nobody waits for it
  // may hold some back, so that readers find room.
  virtual std::optional<SlotIndex> ChooseSpent(const SlotFilter& /*filter*/,
                                               bool /*reader_waits*/) {
    return std::nullopt;
  }
};

}  // namespace stokefs::cache
