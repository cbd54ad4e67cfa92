// MemHub's (Redox's) slot-bound rule. With memory for a share r of the dataset, k = ceil(1/r)
// chunks form a group; the samples at position p of each of them share one slot of memory, so a
// slot's place is fixed and nothing is ever evicted. A request for any of the k samples of a slot
// is answered with the one that is there, which is then used up: within an epoch each sample is
// still given out once, but not in the order that was asked for. When the slot is empty, the chunk
// that fills the most free slots of its group with samples not yet given out is read whole.
//
// So what it hits is not comparable with a policy that answers with what was asked. What is
// comparable are its reads of chunks. 1.1 bytes a sample.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/sample_policy.h"

namespace stokefs::cache::baseline {

class MemHub final : public SamplePolicy {
 public:
  struct Options {
    uint32_t group_chunks = 1;  // ceil(1 / ratio)
  };
  MemHub(const DatasetShape& shape, Options options)
      : shape_(shape),
        group_chunks_(options.group_chunks),
        states_(shape.sample_count(), State::kUnread) {}

  SampleIndex AnswerFor(SampleIndex asked) override;
  After OnHit(SampleIndex sample, JobIndex job) override;
  After OnMiss(SampleIndex sample, JobIndex job) override;
  void OnInsert(SampleIndex sample) override;
  void OnRemove(SampleIndex sample) override;
  // Nothing leaves but what was given out.
  std::optional<SampleIndex> ChooseVictim(const SampleFilter&) override { return std::nullopt; }
  void OnEpoch(JobIndex job) override;
  bool NextWish(ChunkWish& wish) override;

 private:
  enum class State : uint8_t { kUnread, kCached, kGivenOut };
  struct Stretch {
    uint32_t first = 0, end = 0;
  };

  Stretch GroupOf(ChunkIndex chunk) const;  // chunks
  // The slot's sample, when it is in memory and not given out.
  std::optional<SampleIndex> InSlot(Stretch group, uint32_t position) const;
  uint32_t FillCount(Stretch group, uint32_t chunk) const;

  const DatasetShape& shape_;
  const uint32_t group_chunks_;
  std::vector<State> states_;          // by sample
  std::optional<ChunkIndex> loading_;  // read because of the last miss
};

}  // namespace stokefs::cache::baseline
