// S3-FIFO: a small queue that sifts (10% of memory), a main queue with lazy promotion, and a ghost
// queue of what left the small one unread. Yang, Zhang, Qiu, Yue, Vinayak: "FIFO queues are all you
// need for cache eviction", SOSP 2023. 10 bytes a sample. Samples count alike, whatever their size.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/sample_lists.h"
#include "cache/sample_policy.h"

namespace stokefs::cache::baseline {

class S3Fifo final : public SamplePolicy {
 public:
  struct Options {
    uint64_t capacity_samples = 0;
  };
  S3Fifo(const DatasetShape& shape, Options options);

  After OnHit(SampleIndex sample, JobIndex job) override;
  After OnMiss(SampleIndex sample, JobIndex job) override;
  void OnInsert(SampleIndex sample) override;
  void OnRemove(SampleIndex sample) override;
  std::optional<SampleIndex> ChooseVictim(const SampleFilter& filter) override;

 private:
  enum Queue : uint8_t { kSmall, kMain, kGhost, kNone };
  struct State {
    Queue queue = kNone;
    uint8_t reads = 0;  // since it came or was last passed over; at most 3
  };

  void Put(SampleIndex sample, Queue queue);
  void TakeOut(SampleIndex sample);
  std::optional<SampleIndex> FromSmall(const SampleFilter& filter);
  std::optional<SampleIndex> FromMain(const SampleFilter& filter);

  const uint64_t small_count_max_, ghost_count_max_;
  std::vector<State> states_;
  SampleLists queues_;
  uint64_t counts_[3] = {};
};

}  // namespace stokefs::cache::baseline
