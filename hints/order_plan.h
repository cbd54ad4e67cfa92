// A known order as the plan of one rank: positions and samples both ways, by node.
//
// Immutable: thread-safe. 12 bytes a sample.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "cache/ids.h"
#include "cache/plan.h"
#include "hints/rank_split.h"

namespace stokefs::hints {

class OrderPlan final : public cache::Plan {
 public:
  // `order`: folder indices; `nodes`: by folder index, kNoNode for samples that are gone. An index
  // beyond `nodes` counts as gone too.
  OrderPlan(std::span<const uint32_t> order, const RankSplit& split,
            std::span<const cache::NodeId> nodes);

  uint64_t SampleCount() const override { return nodes_.size(); }
  std::optional<cache::NodeId> At(uint64_t position) const override;
  std::optional<uint64_t> NextUse(cache::NodeId node, uint64_t from) const override;

 private:
  struct Use {
    cache::NodeId node;
    uint32_t position = 0;
    bool operator<(const Use& other) const {
      return std::tie(node.value, position) < std::tie(other.node.value, other.position);
    }
  };
  std::vector<cache::NodeId> nodes_;  // by position
  std::vector<Use> uses_;             // sorted
};

}  // namespace stokefs::hints
