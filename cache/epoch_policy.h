// The policy that knows about epochs: what memory holds is what some job will still read.
//
// In an epoch that reads each sample once, in an order that nobody knows, a used sample is worth
// nothing until the next epoch and each unread one is as likely as any other. So used samples are
// replaced by unread ones, chunk by chunk in sequential reads. With memory for a fraction c of the
// dataset this hits c(1 + ln(1/c)) of the reads, the most that is possible: when a fraction u of
// the epoch is left, at most c/u of what may come can be in memory.
//
//   wanted(job, sample)  once an epoch:  the job has not read it in this epoch
//                        planned:        and the plan reads it within the next `quota` bytes
//                        weighted:       it is among the `quota` bytes most likely to be read
//
// A cached sample that no job wants is *spent*: first to go, room for wishes. With several jobs
// each has its quota, an equal share: a job below it may take from jobs above it, so each job keeps
// at least its share of samples that it wants, and hits what it would hit alone with that share.
//
// Costs 12 bytes a sample, 4 a chunk and job, one more a sample once importance is told, a bit a
// sample for each plan. Reads, insertions and removals are O(1); starting or ending a job or an
// epoch, and a new cut of importance, walk all samples. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/importance_table.h"
#include "cache/plan_window.h"
#include "cache/sample_lists.h"
#include "cache/sample_policy.h"

namespace stokefs::cache {

class EpochPolicy final : public SamplePolicy {
 public:
  enum class Sampling : uint8_t { kOncePerEpoch, kWeighted };
  struct Options {
    uint64_t capacity_bytes = 0;  // what memory may hold, bytes on their way included
  };
  // Where a sample's bytes are:
  //
  //   absent -wished-> coming -OnInsert-> cached -OnRemove-> absent
  //      |                |                 ^
  //      |                +-OnWishDropped-> absent
  //      +---------OnInsert (a miss)--------+
  enum class Place : uint8_t { kAbsent, kComing, kCached };

  EpochPolicy(const DatasetShape& shape, Options options);

  // A job that reads the samples of `scope` (by sample; empty: all). It must not be active. Reads
  // of a job that is not active are of no consequence here: a reader without epochs.
  void StartJob(JobIndex job, const std::vector<bool>& scope = {});
  void EndJob(JobIndex job);
  // What the job reads was found to be another part of the dataset. `used`: what it has read of it
  // in this epoch.
  void SetScope(JobIndex job, const std::vector<bool>& scope, const std::vector<bool>& used);
  bool IsActive(JobIndex job) const { return (active_ >> job.value & 1) != 0; }
  void SetSampling(JobIndex job, Sampling sampling);
  // What the job will read from now to the end of its epoch, in this order. `order` stays valid
  // until then.
  void SetPlan(JobIndex job, std::span<const SampleIndex> order);
  // Expected reads relative to the average sample, finite and at least 0. Felt by jobs with
  // weighted sampling when it is applied: by the call, at each epoch, and when 5% of all samples
  // changed.
  void SetImportance(SampleIndex sample, double value);
  void ApplyImportance();

  After OnHit(SampleIndex sample, JobIndex job) override;
  After OnMiss(SampleIndex sample, JobIndex job) override;
  void OnInsert(SampleIndex sample) override;
  void OnRemove(SampleIndex sample) override;
  std::optional<SampleIndex> ChooseVictim(const SampleFilter& filter) override;
  // The same, of spent ones alone.
  std::optional<SampleIndex> ChooseSpent(const SampleFilter& filter) const;
  void OnEpoch(JobIndex job) override;
  bool NextWish(ChunkWish& wish) override;
  void OnWishDropped(SampleIndex sample) override;

  bool Wants(JobIndex job, SampleIndex sample) const {
    return (samples_[sample.value].wanted >> job.value & 1) != 0;
  }
  Place PlaceOf(SampleIndex sample) const { return samples_[sample.value].place; }
  uint64_t UnreadBytes(JobIndex job) const { return jobs_[job.value].unread_bytes; }
  bool HasJobs() const { return active_ != 0; }
  uint64_t SpentBytes() const { return list_bytes_[0]; }
  // Computes everything that is kept up to date anew and CHECKs it. O(samples), for tests.
  void CheckConsistency() const;

 private:
  struct Sample {  // the first three: a bit a job
    uint8_t scope = 0, unread = 0, wanted = 0;
    Place place = Place::kAbsent;
  };
  static_assert(sizeof(Sample) == 4);
  struct Job {
    Sampling sampling = Sampling::kOncePerEpoch;
    std::unique_ptr<PlanWindow> plan;  // none: the order is not known
    uint64_t unread_bytes = 0;
    uint64_t held_bytes = 0;  // wanted by the job, and cached or coming
    uint64_t absent_count = 0;
    std::vector<uint32_t> absent_counts;  // by chunk: wanted by the job and absent
    uint32_t cursor = 0;                  // the chunk that is read next
  };
  static uint8_t BitOf(JobIndex job) { return static_cast<uint8_t>(1u << job.value); }
  bool AnyWeighted() const;
  bool WantedNow(unsigned job, SampleIndex sample) const;
  void Move(SampleIndex sample, uint8_t wanted, Place place);
  void Account(SampleIndex sample, int sign);
  void Rebuild();
  void RebuildChunk(ChunkIndex chunk, uint8_t looked_up);
  void Use(SampleIndex sample, JobIndex job);
  void AdvanceWindow(unsigned job);
  uint64_t QuotaBytes() const;
  uint64_t WishRoomBytes() const;
  bool IsBelowQuota(unsigned job) const { return jobs_[job].held_bytes < QuotaBytes(); }
  double WorthOf(uint8_t wanted) const;
  std::optional<ChunkIndex> NextChunk(unsigned job);
  bool Gather(unsigned job, uint64_t room_bytes, ChunkWish& wish);

  const DatasetShape& shape_;
  const uint64_t capacity_bytes_;
  const uint64_t batch_bytes_;  // room that is worth a read of a part of a chunk

  std::vector<Sample> samples_;
  uint8_t active_ = 0;  // jobs
  std::array<Job, kJobCountMax> jobs_;
  std::unique_ptr<ImportanceTable> importance_;  // none until something is told
  ImportanceTable::Cut cut_;

  SampleLists lists_;  // of cached samples, by the set of jobs that want them; 0: spent
  std::array<uint64_t, 256> list_bytes_{};
  uint64_t cached_bytes_ = 0, coming_bytes_ = 0;
};

}  // namespace stokefs::cache
