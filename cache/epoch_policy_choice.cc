// EpochPolicy's two choices: who goes, and what should come.
#include <algorithm>
#include <bit>
#include <bitset>
#include <limits>

#include "base/check.h"
#include "cache/epoch_policy.h"

namespace stokefs::cache {

namespace {

// With several jobs this share of memory takes what one job missed and another will read, so that
// jobs in step read each sample once.
constexpr uint64_t kStagingShare = 100;
// What is larger than this share of memory is not read ahead: it would push out too much.
constexpr uint64_t kLargeShare = 8;

}  // namespace

uint64_t EpochPolicy::WishRoomBytes() const {
  uint64_t const staging_bytes = std::popcount(active_) > 1 ? capacity_bytes_ / kStagingShare : 0;
  uint64_t const held_bytes = cached_bytes_ - list_bytes_[0] + coming_bytes_ + staging_bytes;
  return capacity_bytes_ - std::min(capacity_bytes_, held_bytes);
}

uint64_t EpochPolicy::QuotaBytes() const {
  auto const count = static_cast<uint64_t>(std::popcount(active_));
  if (count <= 1) return capacity_bytes_;
  return (capacity_bytes_ - capacity_bytes_ / kStagingShare) / count;
}

// Expected reads of a byte per byte read, for samples that the jobs of `wanted` want.
double EpochPolicy::WorthOf(uint8_t wanted) const {
  double worth = 0;
  for (unsigned job = 0; job < kJobCountMax; ++job) {
    if ((wanted >> job & 1) == 0) continue;
    const Job& j = jobs_[job];
    if (j.sampling == Sampling::kWeighted)
      worth += ImportanceTable::ValueAt(cut_) / static_cast<double>(shape_.total_bytes());
    else
      worth += 1.0 / static_cast<double>(
                         std::max<uint64_t>(j.plan ? j.plan->bytes() : j.unread_bytes, 1));
  }
  return worth;
}

std::optional<SampleIndex> EpochPolicy::ChooseVictim(const SampleFilter& filter) {
  std::bitset<256> tried;
  for (;;) {
    // The least worthy list; those that a job below its quota needs only after all others.
    std::optional<uint8_t> best;
    double best_worth = std::numeric_limits<double>::infinity();
    bool best_needed = true;
    for (unsigned list = 0; list <= active_; ++list) {
      if (tried[list] || lists_.IsEmpty(list)) continue;
      auto const wanted = static_cast<uint8_t>(list);
      bool needed = false;
      for (unsigned job = 0; job < kJobCountMax; ++job)
        needed = needed || ((wanted >> job & 1) != 0 && jobs_[job].held_bytes <= QuotaBytes());
      double const worth = WorthOf(wanted);
      if (best && (needed > best_needed || (needed == best_needed && worth >= best_worth)))
        continue;
      best = wanted;
      best_worth = worth;
      best_needed = needed;
      if (list == 0) break;  // spent
    }
    if (!best) return std::nullopt;
    for (SampleIndex s = lists_.FrontOf(*best); !lists_.IsEnd(s); s = lists_.After(s))
      if (filter.MayGo(s)) return s;
    tried.set(*best);
  }
}

std::optional<SampleIndex> EpochPolicy::ChooseSpent(const SampleFilter& filter) const {
  for (SampleIndex s = lists_.FrontOf(0); !lists_.IsEnd(s); s = lists_.After(s))
    if (filter.MayGo(s)) return s;
  return std::nullopt;
}

bool EpochPolicy::NextWish(ChunkWish& wish) {
  uint64_t const room_bytes = WishRoomBytes();
  uint64_t const quota_bytes = QuotaBytes();
  auto const lacking_bytes = [&](unsigned job) {
    return quota_bytes - std::min(quota_bytes, jobs_[job].held_bytes);
  };
  // Jobs below their quota first, the neediest first; then those that are the nearest to their end,
  // because what they lack is the likeliest to be read.
  auto const comes_before = [&](unsigned a, unsigned b) {
    if (lacking_bytes(a) != lacking_bytes(b)) return lacking_bytes(a) > lacking_bytes(b);
    return jobs_[a].unread_bytes < jobs_[b].unread_bytes;
  };
  for (unsigned untried = active_; untried != 0;) {
    auto next = static_cast<unsigned>(std::countr_zero(untried));
    for (unsigned job = next + 1; job < kJobCountMax; ++job)
      if ((untried >> job & 1) != 0 && comes_before(job, next)) next = job;
    untried &= ~(1u << next);
    if (jobs_[next].absent_count == 0) continue;
    if (Gather(next, std::max(lacking_bytes(next), room_bytes), wish)) return true;
  }
  return false;
}

// The chunk that is to be read next for `job`, which has absent samples.
std::optional<ChunkIndex> EpochPolicy::NextChunk(unsigned job) {
  Job& j = jobs_[job];
  if (j.plan && j.sampling != Sampling::kWeighted) {
    while (auto const due = j.plan->NextDue()) {
      if (PlaceOf(*due) == Place::kAbsent && Wants({static_cast<uint8_t>(job)}, *due))
        return shape_.ChunkOf(*due);
      j.plan->PassDue();
    }
    return std::nullopt;
  }
  while (j.absent_counts[j.cursor] == 0)
    if (++j.cursor == shape_.chunk_count()) j.cursor = 0;
  return ChunkIndex{j.cursor};
}

// Wishes for what `job` wants of its next chunk: all of it, or as much as there is room for when
// that is a batch at least. False: rather wait.
bool EpochPolicy::Gather(unsigned job, uint64_t room_bytes, ChunkWish& wish) {
  auto const chunk = NextChunk(job);
  if (!chunk) return false;
  uint64_t const average_bytes =
      std::max<uint64_t>(shape_.total_bytes() / shape_.sample_count(), 1);
  uint64_t const expected_bytes = jobs_[job].absent_counts[chunk->value] * average_bytes;
  if (room_bytes < std::min(batch_bytes_, expected_bytes)) return false;
  wish.chunk = *chunk;
  wish.samples.clear();
  bool any_fits_ever = false;
  for (uint32_t i = shape_.FirstOf(*chunk); i < shape_.EndOf(*chunk); ++i) {
    const Sample& sample = samples_[i];
    if (sample.place != Place::kAbsent || (sample.wanted >> job & 1) == 0) continue;
    uint64_t const size = shape_.SizeOf({i});
    if (size > capacity_bytes_ / kLargeShare && size > 1) continue;
    any_fits_ever = true;
    if (size > room_bytes) break;
    room_bytes -= size;
    wish.samples.push_back({i});
  }
  if (wish.samples.empty()) {
    // Nothing here but what is too large: on to the next chunk, at the next call.
    if (!any_fits_ever && !jobs_[job].plan && ++jobs_[job].cursor == shape_.chunk_count())
      jobs_[job].cursor = 0;
    if (!any_fits_ever && jobs_[job].plan) jobs_[job].plan->PassDue();
    return false;
  }
  for (SampleIndex const sample : wish.samples)
    Move(sample, samples_[sample.value].wanted, Place::kComing);
  wish.read_count = static_cast<uint32_t>(wish.samples.size());
  return true;
}

}  // namespace stokefs::cache
