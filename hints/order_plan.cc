#include "hints/order_plan.h"

#include <algorithm>

namespace stokefs::hints {

OrderPlan::OrderPlan(std::span<const uint32_t> order, const RankSplit& split,
                     std::span<const cache::NodeId> nodes) {
  for (uint32_t const index : RankSequence(order, split))
    nodes_.push_back(index < nodes.size() ? nodes[index] : cache::kNoNode);
  uses_.reserve(nodes_.size());
  for (uint32_t position = 0; position < nodes_.size(); ++position) {
    if (nodes_[position] != cache::kNoNode) uses_.push_back({nodes_[position], position});
  }
  std::sort(uses_.begin(), uses_.end());
}

std::optional<cache::NodeId> OrderPlan::At(uint64_t position) const {
  if (position >= nodes_.size() || nodes_[position] == cache::kNoNode) return std::nullopt;
  return nodes_[position];
}

std::optional<uint64_t> OrderPlan::NextUse(cache::NodeId node, uint64_t from) const {
  if (from >= nodes_.size()) return std::nullopt;
  auto const at =
      std::lower_bound(uses_.begin(), uses_.end(), Use{node, static_cast<uint32_t>(from)});
  if (at == uses_.end() || at->node != node) return std::nullopt;
  return at->position;
}

}  // namespace stokefs::hints
