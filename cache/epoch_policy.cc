#include "cache/epoch_policy.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/check.h"

namespace stokefs::cache {

namespace {

// A smaller read is put off until this share of memory is free for it. Memory that waits is memory
// that hits nothing: at c = 0.1 the whole wait costs 0.002 of the hit ratio.
constexpr uint64_t kBatchShare = 100;
// A new cut walks all samples: so many values told in bulk pay for one walk.
constexpr uint64_t kChangedShare = 20;

// Calls `f` with each bit of `mask` that is set.
template <typename F>
void ForEachJob(unsigned mask, const F& f) {
  for (; mask != 0; mask &= mask - 1) f(static_cast<unsigned>(std::countr_zero(mask)));
}

}  // namespace

EpochPolicy::EpochPolicy(const DatasetShape& shape, Options options)
    : shape_(shape),
      capacity_bytes_(options.capacity_bytes),
      batch_bytes_(std::max<uint64_t>(options.capacity_bytes / kBatchShare, 1)),
      samples_(shape.sample_count()),
      lists_({.sample_count = shape.sample_count(), .list_count = 256}) {}

// --- jobs

void EpochPolicy::StartJob(JobIndex job, const std::vector<bool>& scope) {
  STOKEFS_CHECK(job.value < kJobCountMax && !IsActive(job));
  STOKEFS_CHECK(scope.empty() || scope.size() == samples_.size());
  uint8_t const bit = BitOf(job);
  for (size_t i = 0; i < samples_.size(); ++i) {
    bool const is_in = scope.empty() || scope[i];
    samples_[i].scope =
        static_cast<uint8_t>(is_in ? samples_[i].scope | bit : samples_[i].scope & ~bit);
  }
  active_ |= bit;
  jobs_[job.value] = Job{};
  jobs_[job.value].absent_counts.assign(shape_.chunk_count(), 0);
  OnEpoch(job);
}

void EpochPolicy::EndJob(JobIndex job) {
  STOKEFS_CHECK(IsActive(job));
  active_ = static_cast<uint8_t>(active_ & ~BitOf(job));
  jobs_[job.value] = Job{};
  Rebuild();
}

void EpochPolicy::SetScope(JobIndex job, const std::vector<bool>& scope,
                           const std::vector<bool>& used) {
  STOKEFS_CHECK(IsActive(job) && scope.size() == samples_.size() && used.size() == scope.size());
  uint8_t const bit = BitOf(job);
  for (size_t i = 0; i < samples_.size(); ++i) {
    Sample& sample = samples_[i];
    sample.scope = static_cast<uint8_t>(scope[i] ? sample.scope | bit : sample.scope & ~bit);
    bool const is_unread = scope[i] && !used[i];
    sample.unread = static_cast<uint8_t>(is_unread ? sample.unread | bit : sample.unread & ~bit);
  }
  Rebuild();
}

void EpochPolicy::SetSampling(JobIndex job, Sampling sampling) {
  STOKEFS_CHECK(IsActive(job));
  jobs_[job.value].sampling = sampling;
  Rebuild();
}

void EpochPolicy::SetPlan(JobIndex job, std::span<const SampleIndex> order) {
  STOKEFS_CHECK(IsActive(job));
  for (SampleIndex const sample : order) STOKEFS_CHECK(sample.value < samples_.size());
  jobs_[job.value].plan = std::make_unique<PlanWindow>(order, shape_.sample_count());
  Rebuild();
}

void EpochPolicy::SetImportance(SampleIndex sample, double value) {
  if (!importance_) {
    importance_ = std::make_unique<ImportanceTable>(shape_);
    if (AnyWeighted()) Rebuild();  // all are equal now, and the cut says how many of them
  }
  importance_->Set(sample, value);
  bool const are_many = importance_->changed_count() > samples_.size() / kChangedShare;
  if (are_many && AnyWeighted()) Rebuild();
}

bool EpochPolicy::AnyWeighted() const {
  bool any = false;
  ForEachJob(active_,
             [&](unsigned job) { any = any || jobs_[job].sampling == Sampling::kWeighted; });
  return any;
}

void EpochPolicy::ApplyImportance() {
  if (importance_ && importance_->changed_count() > 0) Rebuild();
}

void EpochPolicy::OnEpoch(JobIndex job) {
  if (!IsActive(job)) return;
  uint8_t const bit = BitOf(job);
  for (Sample& sample : samples_)
    sample.unread = static_cast<uint8_t>((sample.unread & ~bit) | (sample.scope & bit));
  jobs_[job.value].plan.reset();
  Rebuild();
}

// --- what follows from the samples' states

bool EpochPolicy::WantedNow(unsigned job, SampleIndex index) const {
  const Sample& sample = samples_[index.value];
  const Job& j = jobs_[job];
  if (j.sampling == Sampling::kWeighted)
    return (sample.scope >> job & 1) != 0 && importance_ && importance_->Keeps(cut_, index);
  if ((sample.unread >> job & 1) == 0) return false;
  return !j.plan || j.plan->Holds(index);
}

// The one function that changes what is wanted or where it is.
void EpochPolicy::Move(SampleIndex index, uint8_t wanted, Place place) {
  Account(index, -1);
  samples_[index.value].wanted = wanted;
  samples_[index.value].place = place;
  Account(index, +1);
}

// Adds the sample to what is kept by list, job and chunk, or takes it away.
void EpochPolicy::Account(SampleIndex index, int sign) {
  const Sample& sample = samples_[index.value];
  uint64_t const size = shape_.SizeOf(index);
  uint64_t const bytes = sign > 0 ? size : uint64_t{0} - size;  // unsigned wraps as it should
  if (sample.place == Place::kAbsent) {
    if (sample.wanted == 0) return;
    uint32_t const chunk = shape_.ChunkOf(index).value;
    ForEachJob(sample.wanted, [&](unsigned job) {
      jobs_[job].absent_counts[chunk] += static_cast<uint32_t>(sign);
      jobs_[job].absent_count += static_cast<uint64_t>(static_cast<int64_t>(sign));
    });
    return;
  }
  ForEachJob(sample.wanted, [&](unsigned job) { jobs_[job].held_bytes += bytes; });
  if (sample.place == Place::kComing) {
    coming_bytes_ += bytes;
    return;
  }
  cached_bytes_ += bytes;
  list_bytes_[sample.wanted] += bytes;
  sign > 0 ? lists_.PushBack(sample.wanted, index) : lists_.Unlink(index);
}

void EpochPolicy::Rebuild() {
  unsigned weighted_count = 0;
  uint8_t looked_up = 0;
  ForEachJob(active_, [&](unsigned job) {
    Job& j = jobs_[job];
    bool const weighted = j.sampling == Sampling::kWeighted;
    weighted_count += weighted ? 1 : 0;
    if (weighted || j.plan) looked_up = static_cast<uint8_t>(looked_up | 1u << job);
    j.unread_bytes = j.held_bytes = j.absent_count = 0;
  });
  // Jobs with weighted sampling want the same samples, so they pool their quotas.
  if (importance_) cut_ = importance_->CutFor(QuotaBytes() * weighted_count);
  list_bytes_.fill(0);
  for (uint32_t list = 0; list < list_bytes_.size(); ++list) lists_.Clear(list);
  cached_bytes_ = coming_bytes_ = 0;
  for (uint32_t chunk = 0; chunk < shape_.chunk_count(); ++chunk) RebuildChunk({chunk}, looked_up);
  ForEachJob(active_, [&](unsigned job) { AdvanceWindow(job); });
}

// This is done to all samples under the lock of the memory tier, so sums are local and a sample
// that is absent, as most are, costs a few instructions. `looked_up`: jobs that want not simply
// what is unread.
void EpochPolicy::RebuildChunk(ChunkIndex chunk, uint8_t looked_up) {
  std::array<uint32_t, kJobCountMax> absent_counts{};
  std::array<uint64_t, kJobCountMax> unread_bytes{};
  for (uint32_t i = shape_.FirstOf(chunk); i < shape_.EndOf(chunk); ++i) {
    Sample& sample = samples_[i];
    uint32_t const size = shape_.SizeOf({i});
    auto const unread = static_cast<uint8_t>(sample.unread & active_);
    sample.wanted = static_cast<uint8_t>(unread & ~looked_up);
    ForEachJob(looked_up, [&](unsigned job) {
      if (WantedNow(job, {i})) sample.wanted = static_cast<uint8_t>(sample.wanted | 1u << job);
    });
    ForEachJob(unread, [&](unsigned job) { unread_bytes[job] += size; });
    if (sample.place == Place::kAbsent)
      ForEachJob(sample.wanted, [&](unsigned job) { ++absent_counts[job]; });
    else
      Account({i}, +1);
  }
  ForEachJob(active_, [&](unsigned job) {
    Job& j = jobs_[job];
    j.unread_bytes += unread_bytes[job];
    j.absent_counts[chunk.value] = absent_counts[job];
    j.absent_count += absent_counts[job];
  });
}

void EpochPolicy::AdvanceWindow(unsigned job) {
  if (!jobs_[job].plan) return;
  PlanWindow& plan = *jobs_[job].plan;
  uint64_t const quota_bytes = QuotaBytes();
  while (auto const next = plan.Next()) {
    const Sample& sample = samples_[next->value];
    // Read already, padding, or never to be held.
    if ((sample.unread >> job & 1) == 0 || plan.Holds(*next) ||
        shape_.SizeOf(*next) > quota_bytes) {
      plan.PassOver();
      continue;
    }
    if (plan.bytes() + shape_.SizeOf(*next) > quota_bytes) return;
    plan.TakeIn(shape_.SizeOf(*next));
    if (jobs_[job].sampling != Sampling::kWeighted)
      Move(*next, static_cast<uint8_t>(sample.wanted | 1u << job), sample.place);
  }
}

// --- reads, and what memory holds

void EpochPolicy::Use(SampleIndex index, JobIndex job) {
  Sample& sample = samples_[index.value];
  if (!IsActive(job) || (sample.unread & BitOf(job)) == 0) return;
  Job& j = jobs_[job.value];
  sample.unread = static_cast<uint8_t>(sample.unread & ~BitOf(job));
  j.unread_bytes -= shape_.SizeOf(index);
  if (j.sampling == Sampling::kWeighted) return;  // as likely to be read again as before
  if (sample.wanted & BitOf(job))
    Move(index, static_cast<uint8_t>(sample.wanted & ~BitOf(job)), sample.place);
  if (j.plan) {
    j.plan->OnUse(index, shape_.SizeOf(index));
    AdvanceWindow(job.value);
  }
}

SamplePolicy::After EpochPolicy::OnHit(SampleIndex sample, JobIndex job) {
  Use(sample, job);
  return After::kKeep;  // spent at most: it leaves when something better comes
}

SamplePolicy::After EpochPolicy::OnMiss(SampleIndex index, JobIndex job) {
  Use(index, job);
  uint64_t const size = shape_.SizeOf(index);
  if (active_ == 0 || cached_bytes_ + coming_bytes_ + size <= capacity_bytes_) return After::kKeep;
  uint8_t const wanted = samples_[index.value].wanted;
  if (wanted == 0) return After::kDrop;
  uint64_t const held_bytes = cached_bytes_ - list_bytes_[0] + coming_bytes_;
  bool keep = held_bytes + size <= capacity_bytes_;
  ForEachJob(wanted, [&](unsigned other) { keep = keep || IsBelowQuota(other); });
  return keep ? After::kKeep : After::kDrop;
}

void EpochPolicy::OnInsert(SampleIndex index) {
  STOKEFS_CHECK(PlaceOf(index) != Place::kCached);
  Move(index, samples_[index.value].wanted, Place::kCached);
}

void EpochPolicy::OnRemove(SampleIndex index) {
  STOKEFS_CHECK(PlaceOf(index) == Place::kCached);
  Move(index, samples_[index.value].wanted, Place::kAbsent);
}

void EpochPolicy::OnWishDropped(SampleIndex index) {
  if (PlaceOf(index) == Place::kComing) Move(index, samples_[index.value].wanted, Place::kAbsent);
}

void EpochPolicy::CheckConsistency() const {
  std::array<uint64_t, 256> list_bytes{};
  std::array<uint64_t, kJobCountMax> unread_bytes{}, held_bytes{}, absent_count{};
  uint64_t cached_bytes = 0;
  uint64_t coming_bytes = 0;
  for (uint32_t i = 0; i < samples_.size(); ++i) {
    const Sample& sample = samples_[i];
    uint64_t const size = shape_.SizeOf({i});
    STOKEFS_CHECK((sample.wanted & ~(active_ & sample.scope)) == 0);
    for (unsigned job = 0; job < kJobCountMax; ++job) {
      bool const wanted = (sample.wanted >> job & 1) != 0;
      STOKEFS_CHECK((active_ >> job & 1) == 0 || jobs_[job].sampling == Sampling::kWeighted ||
                    wanted == WantedNow(job, {i}));
      if ((active_ & sample.unread) >> job & 1) unread_bytes[job] += size;
      if (!wanted) continue;
      sample.place == Place::kAbsent ? absent_count[job] += 1 : held_bytes[job] += size;
    }
    if (sample.place == Place::kCached) list_bytes[sample.wanted] += size;
    if (sample.place == Place::kCached) cached_bytes += size;
    if (sample.place == Place::kComing) coming_bytes += size;
  }
  STOKEFS_CHECK(list_bytes == list_bytes_);
  STOKEFS_CHECK(cached_bytes == cached_bytes_ && coming_bytes == coming_bytes_);
  for (unsigned job = 0; job < kJobCountMax; ++job) {
    const Job& j = jobs_[job];
    STOKEFS_CHECK(j.unread_bytes == unread_bytes[job] && j.held_bytes == held_bytes[job]);
    STOKEFS_CHECK(j.absent_count == absent_count[job]);
    STOKEFS_CHECK(j.absent_count ==
                  std::accumulate(j.absent_counts.begin(), j.absent_counts.end(), uint64_t{0}));
  }
  for (uint32_t list = 0; list < list_bytes_.size(); ++list) {
    uint64_t bytes = 0;
    for (SampleIndex s = lists_.FrontOf(list); !lists_.IsEnd(s); s = lists_.After(s)) {
      STOKEFS_CHECK(PlaceOf(s) == Place::kCached && samples_[s.value].wanted == list);
      bytes += shape_.SizeOf(s);
    }
    STOKEFS_CHECK(bytes == list_bytes_[list]);
  }
}

}  // namespace stokefs::cache
