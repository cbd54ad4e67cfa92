// Steers the memory tier by what jobs read: the mount's side of EpochPolicy. docs/POLICY.md, "In
// the mount".
//
// Observes what was read, finds out which job reads (ReaderGroups, ShuffleDetector), where its
// epochs end (PassDetector), and tells the policy; a WishPump fetches what the policy wishes for.
// A job is a group of processes and the folder that it reads: a trainer that validates on another
// folder is one there too, or none, if it reads that in order. A reader that does not shuffle is no
// job and has no epochs.
//
// OnReads and OnIdle run on the thread of the event queue; Jobs() and OnImportance may be called by
// any. Locks: mu_, a leaf; importance_mu_ comes before the memory tier's.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/processes.h"
#include "base/sync.h"
#include "cache/chunk_layout.h"
#include "cache/dataset_view.h"
#include "cache/epoch_replacement.h"
#include "cache/importance_listener.h"
#include "cache/job_record.h"
#include "cache/job_trace.h"
#include "cache/memory_tier.h"
#include "cache/pass_detector.h"
#include "cache/read_event.h"
#include "cache/reader_groups.h"
#include "cache/shuffle_detector.h"
#include "cache/subset_detector.h"
#include "cache/told_importance.h"
#include "cache/wish_pump.h"

namespace stokefs::cache {

struct JobReport {
  JobRecord record;
  bool active = false;
};

// A job whose reads are in the trace.
struct TracedJob {
  JobIndex index;
  JobRecord record;
  bool is_weighted = false;
  std::shared_ptr<const std::vector<bool>> scope;  // by sample
};

// What jobs read lately of one version of the catalog, and what it was read of.
struct JobTraceReport {
  std::shared_ptr<const SampleMap> map;  // null: no job was seen
  JobTrace::Reads reads;
  std::vector<TracedJob> jobs;    // those that are active
  std::vector<float> importance;  // by sample, 1 on average; empty: none was told
};

class EpochEngine final : public ReadObserver, public ImportanceListener {
 public:
  struct Options {
    uint64_t memory_bytes = 0;  // the arena's
    SampleMap::Options layout;
    base::Duration idle_max = std::chrono::minutes(10);  // a job that reads nothing so long ends
  };

  // All outlive this. `replacement` is the policy of `memory`.
  EpochEngine(Options options, const DatasetView& view, const base::Processes& processes,
              MemoryTier& memory, EpochReplacement& replacement, WishPump::Prefetch prefetch,
              const base::Clock& clock);

  void OnReads(std::span<const ReadEvent> events) override;
  void OnIdle() override;

  // Whoever draws by weights has what is drawn most kept.
  void OnImportance(std::span<const ImportanceChange> changes) override EXCLUDES(importance_mu_);

  // Wishes for nothing more. To be called before what `prefetch` needs goes.
  void Stop() { pump_.Stop(); }

  std::vector<JobReport> Jobs() const EXCLUDES(mu_);  // the newest last; ended ones too, some
  JobTraceReport Trace() const EXCLUDES(mu_, importance_mu_);  // a copy; O(samples)

 private:
  struct RecentRead {
    ReaderId reader;
    SampleIndex sample;
  };
  struct Job {
    uint64_t number = 0;  // of its record
    JobIndex index;       // in the policy
    ReaderGroup group;
    std::string root;                                // below SOURCE
    std::shared_ptr<const std::vector<bool>> scope;  // what lies below its root
    uint32_t scope_count = 0;                        // of those, what it reads as far as is known
    PassDetector passes;
    SubsetDetector subset;
    bool is_weighted = false;
    bool epoch_told = true;  // the policy was told of the next epoch before its first read
    uint64_t read_count = 0;
    base::TimePoint last_read;
    std::unordered_map<uint32_t, base::TimePoint> answered;  // by thread: when it was last answered
    std::array<RecentRead, 16> recent;
    size_t recent_count = 0;  // of all times
  };
  struct Candidate {  // a group's reads that belong to no job
    ShuffleDetector shuffles;
    uint64_t job_reads_before = 0;  // of the group's jobs, when the present evidence began
    base::TimePoint last_read;
  };
  struct Told {  // what the policy is to be told
    bool epoch = false;
    bool hit = false;
    JobIndex job;
    SampleIndex sample;
    ReaderId reader;
  };
  struct Record {
    uint64_t number = 0;
    JobReport report;
    JobIndex index;  // while it is active, as is what follows
    bool is_weighted = false;
    std::shared_ptr<const std::vector<bool>> scope;
  };

  void NoteBlock(const ReaderGroup& group, BlockKey key, const ReadEvent& event,
                 base::TimePoint now);
  void NoteRead(Job& job, ReaderId reader, SampleIndex sample, const JobRead& read,
                base::TimePoint now) EXCLUDES(mu_);
  void NoteStray(const ReaderGroup& group, BlockKey key, base::TimePoint now);
  void Tell();
  void Upkeep(base::TimePoint now);
  static bool IsSecondRead(Job& job, ReaderId reader, SampleIndex sample);
  void NoteSampling(Job& job);
  void NoteSubset(Job& job, bool new_pass, SampleIndex sample) EXCLUDES(mu_);
  bool Renew(uint64_t version) EXCLUDES(importance_mu_);
  void Begin(const ReaderGroup& group, std::string root, base::TimePoint now,
             std::span<const BlockKey> reads);
  void Install(std::unique_ptr<EpochSteering> steering) EXCLUDES(importance_mu_);
  void StartInPolicy(Job& job);
  void End(std::list<Job>::iterator job);
  bool FindScope(Job& job) EXCLUDES(mu_);
  Record& RecordOf(const Job& job) REQUIRES(mu_);
  std::string CommonFolder(std::span<const BlockKey> keys) const;
  uint64_t JobReadsOf(const ReaderGroup& group) const;
  std::optional<JobIndex> FreeIndex();

  const Options options_;
  const DatasetView& view_;
  MemoryTier& memory_;
  EpochReplacement& replacement_;
  const base::Clock& clock_;

  // Of the queue's thread.
  ReaderGroups groups_;
  std::shared_ptr<const SampleMap> map_;  // the one installed; immutable
  uint64_t map_version_ = 0;
  uint64_t seen_version_ = 0;
  std::list<Job> jobs_;
  std::unordered_map<uint32_t, Candidate> candidates_;  // by the group's pid
  std::vector<Told> told_;
  uint64_t job_count_ = 0;  // of all times
  base::TimePoint kept_up_;

  mutable base::Mutex
      importance_mu_;  // held until a change has reached the policy that is installed
  ToldImportance importance_ GUARDED_BY(importance_mu_);

  mutable base::Mutex mu_;
  std::list<Record> records_ GUARDED_BY(mu_);
  std::shared_ptr<const SampleMap> traced_map_ GUARDED_BY(mu_);  // of what trace_ names
  JobTrace trace_ GUARDED_BY(mu_){0};

  WishPump pump_;  // last: its thread starts when everything above stands
};

}  // namespace stokefs::cache
