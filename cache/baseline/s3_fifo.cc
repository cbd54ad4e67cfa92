#include "cache/baseline/s3_fifo.h"

#include <algorithm>

namespace stokefs::cache::baseline {

S3Fifo::S3Fifo(const DatasetShape& shape, Options options)
    : small_count_max_(std::max<uint64_t>(options.capacity_samples / 10, 1)),
      ghost_count_max_(options.capacity_samples - options.capacity_samples / 10),
      states_(shape.sample_count()),
      queues_({.sample_count = shape.sample_count(), .list_count = 3}) {}

void S3Fifo::Put(SampleIndex sample, Queue queue) {
  queues_.PushBack(queue, sample);
  states_[sample.value].queue = queue;
  ++counts_[queue];
}

void S3Fifo::TakeOut(SampleIndex sample) {
  State& state = states_[sample.value];
  queues_.Unlink(sample);
  --counts_[state.queue];
  state.queue = kNone;
}

SamplePolicy::After S3Fifo::OnHit(SampleIndex sample, JobIndex) {
  uint8_t& reads = states_[sample.value].reads;
  reads = static_cast<uint8_t>(std::min(reads + 1, 3));
  return After::kKeep;
}

SamplePolicy::After S3Fifo::OnMiss(SampleIndex, JobIndex) { return After::kKeep; }

void S3Fifo::OnInsert(SampleIndex sample) {
  bool const was_ghost = states_[sample.value].queue == kGhost;
  if (was_ghost) TakeOut(sample);
  states_[sample.value].reads = 0;
  Put(sample, was_ghost ? kMain : kSmall);
}

void S3Fifo::OnRemove(SampleIndex sample) {
  bool const was_small = states_[sample.value].queue == kSmall;
  TakeOut(sample);
  if (!was_small) return;
  Put(sample, kGhost);
  if (counts_[kGhost] > ghost_count_max_) TakeOut(queues_.FrontOf(kGhost));
}

std::optional<SampleIndex> S3Fifo::ChooseVictim(const SampleFilter& filter) {
  if (counts_[kSmall] >= small_count_max_ || counts_[kMain] == 0)
    if (auto const victim = FromSmall(filter)) return victim;
  if (auto const victim = FromMain(filter)) return victim;
  return FromSmall(filter);
}

// Moves on what was read more than once, and names the oldest that was not.
std::optional<SampleIndex> S3Fifo::FromSmall(const SampleFilter& filter) {
  for (SampleIndex s = queues_.FrontOf(kSmall); !queues_.IsEnd(s);) {
    SampleIndex const next = queues_.After(s);
    if (states_[s.value].reads > 1) {
      TakeOut(s);
      states_[s.value].reads = 0;
      Put(s, kMain);
    } else if (filter.MayGo(s)) {
      return s;
    }
    s = next;
  }
  return std::nullopt;
}

// Gives each that was read another round.
std::optional<SampleIndex> S3Fifo::FromMain(const SampleFilter& filter) {
  // Each passes at most 4 times: its reads run out.
  for (uint64_t left = 4 * counts_[kMain]; left > 0; --left) {
    SampleIndex const s = queues_.FrontOf(kMain);
    uint8_t& reads = states_[s.value].reads;
    if (reads == 0 && filter.MayGo(s)) return s;
    if (reads > 0) --reads;
    TakeOut(s);
    Put(s, kMain);
  }
  return std::nullopt;
}

}  // namespace stokefs::cache::baseline
