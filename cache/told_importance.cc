#include "cache/told_importance.h"

#include <algorithm>

namespace stokefs::cache {

void ToldImportance::Remember(std::span<const ImportanceChange> changes) {
  for (ImportanceChange const& change : changes) {
    if (change.node == kNoNode) continue;
    size_t const at = change.node.value;
    if (at >= by_node_.size()) by_node_.resize(std::max(at + 1, 2 * by_node_.size()), kUntold);
    by_node_[at] = change.relative;
  }
}

void ToldImportance::TellAll(const SampleMap& map, EpochPolicy& policy) const {
  for (size_t i = 0; i < by_node_.size(); ++i) {
    if (by_node_[i] == kUntold) continue;
    ImportanceChange const change{{static_cast<uint32_t>(i)}, by_node_[i]};
    Tell({&change, 1}, map, policy);
  }
}

std::vector<float> ToldImportance::Of(const SampleMap& map) const {
  std::vector<float> values;
  if (std::all_of(by_node_.begin(), by_node_.end(), [](float v) { return v == kUntold; }))
    return values;
  values.reserve(map.shape().sample_count());
  for (uint32_t i = 0; i < map.shape().sample_count(); ++i) {
    uint32_t const node = map.KeyOf({i}).node.value;
    bool const is_told = node < by_node_.size() && by_node_[node] != kUntold;
    values.push_back(is_told ? by_node_[node] : 1.0f);
  }
  return values;
}

void ToldImportance::Tell(std::span<const ImportanceChange> changes, const SampleMap& map,
                          EpochPolicy& policy) {
  for (ImportanceChange const& change : changes) {
    for (uint32_t i = 0;; ++i) {
      auto const sample = map.Find({change.node, i});
      if (!sample) break;
      policy.SetImportance(*sample, change.relative);
    }
  }
}

}  // namespace stokefs::cache
