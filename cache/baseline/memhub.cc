#include "cache/baseline/memhub.h"

#include <algorithm>

#include "base/check.h"

namespace stokefs::cache::baseline {

MemHub::Stretch MemHub::GroupOf(ChunkIndex chunk) const {
  uint32_t const first = chunk.value / group_chunks_ * group_chunks_;
  return {first, std::min(first + group_chunks_, shape_.chunk_count())};
}

std::optional<SampleIndex> MemHub::InSlot(Stretch group, uint32_t position) const {
  for (uint32_t chunk = group.first; chunk < group.end; ++chunk) {
    if (position >= shape_.CountOf({chunk})) continue;
    SampleIndex const sample{shape_.FirstOf({chunk}) + position};
    if (states_[sample.value] == State::kCached) return sample;
  }
  return std::nullopt;
}

// Free slots of the group that `chunk` has a sample for which was not given out.
uint32_t MemHub::FillCount(Stretch group, uint32_t chunk) const {
  uint32_t count = 0;
  for (uint32_t p = 0; p < shape_.CountOf({chunk}); ++p)
    if (states_[shape_.FirstOf({chunk}) + p] == State::kUnread && !InSlot(group, p)) ++count;
  return count;
}

SampleIndex MemHub::AnswerFor(SampleIndex asked) {
  ChunkIndex const home = shape_.ChunkOf(asked);
  Stretch const group = GroupOf(home);
  uint32_t const position = asked.value - shape_.FirstOf(home);
  if (auto const there = InSlot(group, position)) return *there;
  // When nothing is left to give (the same slot was asked for too often), what was asked itself.
  SampleIndex best = asked;
  uint32_t best_count = 0;
  for (uint32_t chunk = group.first; chunk < group.end; ++chunk) {
    if (position >= shape_.CountOf({chunk})) continue;
    SampleIndex const sample{shape_.FirstOf({chunk}) + position};
    if (states_[sample.value] != State::kUnread) continue;
    uint32_t const count = FillCount(group, chunk);
    if (count <= best_count) continue;
    best = sample;
    best_count = count;
  }
  return best;
}

SamplePolicy::After MemHub::OnHit(SampleIndex sample, JobIndex) {
  states_[sample.value] = State::kGivenOut;
  return After::kDrop;
}

SamplePolicy::After MemHub::OnMiss(SampleIndex sample, JobIndex) {
  states_[sample.value] = State::kGivenOut;
  loading_ = shape_.ChunkOf(sample);
  return After::kDrop;
}

bool MemHub::NextWish(ChunkWish& wish) {
  if (!loading_) return false;
  wish.chunk = *loading_;
  wish.samples.clear();
  wish.read_count = shape_.CountOf(*loading_) - 1;
  Stretch const group = GroupOf(*loading_);
  for (uint32_t p = 0; p < shape_.CountOf(*loading_); ++p) {
    SampleIndex const sample{shape_.FirstOf(*loading_) + p};
    if (states_[sample.value] == State::kUnread && !InSlot(group, p))
      wish.samples.push_back(sample);
  }
  loading_.reset();
  return true;
}

void MemHub::OnInsert(SampleIndex sample) {
  STOKEFS_CHECK(states_[sample.value] == State::kUnread);
  states_[sample.value] = State::kCached;
}

void MemHub::OnRemove(SampleIndex sample) {
  State& state = states_[sample.value];
  if (state == State::kCached) state = State::kUnread;
}

void MemHub::OnEpoch(JobIndex) {
  for (State& state : states_)
    if (state == State::kGivenOut) state = State::kUnread;
}

}  // namespace stokefs::cache::baseline
