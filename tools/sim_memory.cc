#include "tools/sim_memory.h"

#include <algorithm>

#include "base/check.h"

namespace stokefs::tools {

namespace {

struct AllMayGo final : cache::SampleFilter {
  bool MayGo(cache::SampleIndex) const override { return true; }
};

}  // namespace

SimMemory::SimMemory(const cache::DatasetShape& shape, Options options, cache::SamplePolicy& policy)
    : shape_(shape),
      capacity_bytes_(options.capacity_bytes),
      policy_(policy),
      held_(shape.sample_count()),
      seen_(shape.sample_count()) {}

bool SimMemory::Read(cache::SampleIndex asked, cache::JobIndex job) {
  using After = cache::SamplePolicy::After;
  cache::SampleIndex const sample = policy_.AnswerFor(asked);
  bool const hit = held_[sample.value];
  After const after = hit ? policy_.OnHit(sample, job) : policy_.OnMiss(sample, job);
  if (hit && after == After::kDrop) Remove(sample);
  if (!hit && after == After::kKeep) Insert(sample);
  counts_.reads += 1;
  counts_.job_reads[job.value] += 1;
  counts_.hits += hit ? 1 : 0;
  counts_.job_hits[job.value] += hit ? 1 : 0;
  counts_.fetched += hit ? 0 : 1;
  counts_.distinct += seen_[sample.value] ? 0 : 1;
  seen_[sample.value] = true;
  FulfilWishes();
  return hit;
}

void SimMemory::FulfilWishes() {
  while (policy_.NextWish(wish_)) {
    counts_.loads += 1;
    counts_.fetched += wish_.read_count;
    for (cache::SampleIndex const sample : wish_.samples)
      if (!Insert(sample)) policy_.OnWishDropped(sample);
  }
}

// False when nothing may make room.
bool SimMemory::Insert(cache::SampleIndex sample) {
  STOKEFS_CHECK(!held_[sample.value]);
  while (used_bytes_ + shape_.SizeOf(sample) > capacity_bytes_) {
    auto const victim = policy_.ChooseVictim(AllMayGo());
    if (!victim) return false;
    Remove(*victim);
  }
  held_[sample.value] = true;
  used_bytes_ += shape_.SizeOf(sample);
  policy_.OnInsert(sample);
  return true;
}

void SimMemory::Remove(cache::SampleIndex sample) {
  STOKEFS_CHECK(held_[sample.value]);
  held_[sample.value] = false;
  used_bytes_ -= shape_.SizeOf(sample);
  policy_.OnRemove(sample);
}

void SimMemory::StartCounting() {
  counts_ = {};
  std::fill(seen_.begin(), seen_.end(), false);
}

}  // namespace stokefs::tools
