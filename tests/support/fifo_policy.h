// First in, first out: a policy that reads do not move.
#pragma once

#include <algorithm>
#include <deque>

#include "cache/replacement_policy.h"

namespace stokefs::testing {

class FifoPolicy final : public cache::ReplacementPolicy {
 public:
  void OnInsert(cache::SlotIndex slot, cache::BlockKey, uint64_t) override {
    order_.push_back(slot);
  }
  void OnRead(cache::SlotIndex, cache::ReaderId) override {}
  void OnRemove(cache::SlotIndex slot) override {
    order_.erase(std::find(order_.begin(), order_.end(), slot));
  }
  std::optional<cache::SlotIndex> ChooseVictim(const cache::SlotFilter& filter) override {
    for (cache::SlotIndex const slot : order_)
      if (filter.MayGo(slot)) return slot;
    return std::nullopt;
  }

 private:
  std::deque<cache::SlotIndex> order_;  // oldest first
};

}  // namespace stokefs::testing
