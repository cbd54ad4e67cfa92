// What jobs have said of importance, by node, for each policy that comes to be asked: a new version
// of the catalog brings a new one. 4 bytes for each node up to the largest one named. Not
// thread-safe.
#pragma once

#include <span>
#include <vector>

#include "cache/epoch_policy.h"
#include "cache/importance_listener.h"
#include "cache/sample_map.h"

namespace stokefs::cache {

class ToldImportance {
 public:
  void Remember(std::span<const ImportanceChange> changes);
  // All that is remembered.
  void TellAll(const SampleMap& map, EpochPolicy& policy) const;
  // By sample, 1 where nothing was told; empty when nothing was told of any.
  std::vector<float> Of(const SampleMap& map) const;
  // To all extents of a file alike. Nodes that are not in `map` are left out.
  static void Tell(std::span<const ImportanceChange> changes, const SampleMap& map,
                   EpochPolicy& policy);

 private:
  static constexpr float kUntold = -1;

  std::vector<float> by_node_;
};

}  // namespace stokefs::cache
