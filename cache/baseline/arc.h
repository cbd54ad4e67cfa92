// ARC: two LRU lists, of samples seen once and more often, and two of what left them, by which the
// split between the first two adapts. Megiddo, Modha: "ARC: a self-tuning, low overhead replacement
// cache", FAST 2003. 9 bytes a sample. Samples count alike, whatever their size.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "cache/sample_lists.h"
#include "cache/sample_policy.h"

namespace stokefs::cache::baseline {

class Arc final : public SamplePolicy {
 public:
  struct Options {
    uint64_t capacity_samples = 0;
  };
  Arc(const DatasetShape& shape, Options options);

  After OnHit(SampleIndex sample, JobIndex job) override;
  After OnMiss(SampleIndex sample, JobIndex job) override;
  void OnInsert(SampleIndex sample) override;
  void OnRemove(SampleIndex sample) override;
  std::optional<SampleIndex> ChooseVictim(const SampleFilter& filter) override;

 private:
  // The paper's T1, T2 (in memory), B1, B2 (gone, remembered).
  enum List : uint8_t { kOnce, kOften, kOnceGone, kOftenGone, kNowhere };

  void Put(SampleIndex sample, List list);
  void TakeOut(SampleIndex sample);
  uint64_t Count(List list) const { return counts_[list]; }

  const uint64_t capacity_;
  std::vector<List> list_of_;  // by sample
  SampleLists lists_;
  std::array<uint64_t, 4> counts_{};
  uint64_t once_target_ = 0;        // the paper's p: how much of memory kOnce should have
  bool missed_often_gone_ = false;  // the last miss was in kOftenGone
  bool forget_victim_ = false;      // the next to leave is not remembered (case IV, |T1| = c)
};

}  // namespace stokefs::cache::baseline
