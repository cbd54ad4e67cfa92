// What stays in memory, decided sample by sample: the interface of our policy and of the baselines
// that it is measured against. docs/POLICY.md says who calls what.
//
// Pure code: no clock, no I/O, no locks; arrays, not maps. The mount calls it under the memory
// tier's lock and the simulator calls the very same objects. The caller owns the memory: it says
// what came and what went, and asks who goes and what should come. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/dataset_shape.h"

namespace stokefs::cache {

// A training run that reads, by a small number that is used again after it has ended.
struct JobIndex {
  uint8_t value = 0;

  auto operator<=>(const JobIndex&) const = default;
};
inline constexpr unsigned kJobCountMax = 8;

struct SampleFilter {  // which samples may go now (leased ones may not)
  virtual ~SampleFilter() = default;
  virtual bool MayGo(SampleIndex sample) const = 0;
};

// One sequential read of (a part of) a chunk, and which of its samples memory should keep.
struct ChunkWish {
  ChunkIndex chunk;
  std::vector<SampleIndex> samples;  // ascending
  // What the read takes from disk or origin: the samples, or for policies that read chunks whole,
  // all of the chunk but the sample that missed.
  uint32_t read_count = 0;
};

class SamplePolicy {
 public:
  virtual ~SamplePolicy() = default;

  enum class After : uint8_t { kKeep, kDrop };
  // A job reads a sample that is in memory: whether it stays there, as far as the policy cares.
  virtual After OnHit(SampleIndex sample, JobIndex job) = 0;
  // A job reads one that is not: whether it is kept when it comes.
  virtual After OnMiss(SampleIndex sample, JobIndex job) = 0;

  // `sample` is in memory now, because OnMiss or a wish asked for it, or for the caller's reasons.
  virtual void OnInsert(SampleIndex sample) = 0;
  // It is not any more, for whatever reason.
  virtual void OnRemove(SampleIndex sample) = 0;
  // The next one to go among those that `filter` lets go; none if there is no such sample. Nothing
  // goes before OnRemove says so.
  virtual std::optional<SampleIndex> ChooseVictim(const SampleFilter& filter) = 0;

  // `job` starts to read the dataset anew.
  virtual void OnEpoch(JobIndex /*job*/) {}

  // The next read that would fill memory with what is worth it; false: none now. Each wished sample
  // is told once, until it came (OnInsert) or its read failed (OnWishDropped).
  virtual bool NextWish(ChunkWish& /*wish*/) { return false; }
  virtual void OnWishDropped(SampleIndex /*sample*/) {}

  // The sample that answers a request for `asked`. Only MemHub's rule answers with another; a mount
  // has no use for that, since a path's bytes are its own.
  virtual SampleIndex AnswerFor(SampleIndex asked) { return asked; }
};

}  // namespace stokefs::cache
