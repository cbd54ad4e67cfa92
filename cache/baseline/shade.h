// SHADE's rule. The samples of a batch are ranked by their loss, and the one of the j-th smallest
// (from 0) weighs log(j + 10); those weights draw the next epoch's samples, with replacement, and
// decide who is in memory: a sample is let in when it weighs more than the least important there.
// Khan, Yazdani, Fu, Paul, Ji, Jian, Cheng, Butt: "SHADE: Enable Fundamental Cacheability for
// Distributed Deep Learning Training", FAST 2023, and its published sampler. 10 bytes a sample.
//
// Only the cache is here; the sampler, which decides what is read at all, is the simulator's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/sample_lists.h"
#include "cache/sample_policy.h"

namespace stokefs::cache::baseline {

class Shade final : public SamplePolicy {
 public:
  struct Options {
    uint64_t capacity_samples = 0;
    uint32_t batch_samples = 256;  // at most 65,534
  };
  Shade(const DatasetShape& shape, Options options);

  // A batch was trained; its samples in the order of their losses, the smallest first.
  void OnBatch(std::span<const SampleIndex> by_loss);
  // What the sampler draws `sample` by: 1 until it was ranked.
  double WeightOf(SampleIndex sample) const;
  bool IsCached(SampleIndex sample) const { return cached_[sample.value]; }

  After OnHit(SampleIndex, JobIndex) override { return After::kKeep; }
  After OnMiss(SampleIndex sample, JobIndex job) override;
  void OnInsert(SampleIndex sample) override;
  void OnRemove(SampleIndex sample) override;
  std::optional<SampleIndex> ChooseVictim(const SampleFilter& filter) override;

 private:
  const uint64_t capacity_samples_;
  const uint32_t batch_samples_;
  std::vector<uint16_t> ranks_;  // by sample: 0 not ranked, else j + 1
  std::vector<bool> cached_;
  SampleLists lists_;  // cached samples by rank
  uint64_t cached_count_ = 0;
};

}  // namespace stokefs::cache::baseline
