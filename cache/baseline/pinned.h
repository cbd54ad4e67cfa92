// A pinned set: what is worth the most, or for want of importance the first samples. It never
// changes, so it shows what a cache gives that does not evict: a share c of uniform reads, and
// under independent weighted draws the most that is possible. It is read
// ahead once, chunk by chunk. Two bits a sample.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "cache/sample_policy.h"

namespace stokefs::cache::baseline {

class Pinned final : public SamplePolicy {
 public:
  struct Options {
    uint64_t capacity_bytes = 0;
  };
  // `weights`: expected reads a sample; empty: all alike.
  Pinned(const DatasetShape& shape, Options options, std::span<const float> weights = {});

  After OnHit(SampleIndex, JobIndex) override { return After::kKeep; }
  After OnMiss(SampleIndex sample, JobIndex) override {
    return pinned_[sample.value] ? After::kKeep : After::kDrop;
  }
  void OnInsert(SampleIndex sample) override { held_[sample.value] = true; }
  void OnRemove(SampleIndex sample) override { held_[sample.value] = false; }
  std::optional<SampleIndex> ChooseVictim(const SampleFilter&) override { return std::nullopt; }
  bool NextWish(ChunkWish& wish) override;

 private:
  const DatasetShape& shape_;
  std::vector<bool> pinned_, held_;  // by sample
  uint32_t cursor_ = 0;              // the chunks before it were read ahead
};

}  // namespace stokefs::cache::baseline
