// Recognises the order in which a training job reads, from its first reads: reads in, plan out.
//
// One object for one job's pass over one candidate root of n samples, whose reads it is told as
// folder indices. Pure: no I/O, no clock, no threads; the searching is done by Work(), in slices of
// about 10 ms, which the caller runs at idle priority when it likes.
//
//   watching --first reads--> searching --evidence--> recognised --misfit--> watching (dropped)
//   recognised --next epoch--> predicted --evidence--> recognised; --misfit--> searching
//
// Not thread-safe. Memory: 8 bytes a sample for each of kPendingMax + 1 orders at most.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cache/plan.h"
#include "hints/default_generator.h"
#include "hints/epoch_reads.h"
#include "hints/finding.h"
#include "hints/hypothesis.h"
#include "hints/seed_search.h"
#include "hints/succession.h"

namespace stokefs::hints {

enum class RecogniseEffort : uint8_t {
  kCheap,  // sorted orders, small seeds, what follows from the last epoch
  kFull,   // and all 2^32 seeds
};

class Recogniser {
 public:
  static constexpr size_t kPendingMax = 8;
  static constexpr uint32_t kCheapSearchesMax = 16;  // an epoch: one for the readers that are new
  // Reads of an epoch before the long searches begin: by then all workers have been seen.
  static constexpr uint64_t kReadsBeforeFull = 64;

  struct Options {
    uint32_t sample_count = 0;  // below kSampleCountMin nothing is ever recognised
    RecogniseEffort effort = RecogniseEffort::kFull;
    SeedAccelerator* accelerator = nullptr;  // for kFull; outlives this. None: this CPU's fastest
    SeedSearch::Range seeds;                 // searched by kFull; all, but for tests
  };
  explicit Recogniser(Options options);
  ~Recogniser();

  // The first READ of a sample by a reader. Any index: those out of range are counted and ignored.
  // After a recognised epoch the next one begins by itself, when readers begin anew.
  void OnRead(cache::ReaderId reader, uint32_t index);
  // The caller knows that what comes now is a new epoch. Nothing, when no read came since the last.
  void BeginEpoch();
  // Does a slice. True while there is more to do; false until the next read or epoch.
  bool Work();

  enum class State : uint8_t { kWatching, kPredicted, kRecognised };
  State Now() const;

  // Of the present epoch, predicted or recognised.
  std::optional<Finding> Found() const;

  // The present epoch's sequence of one rank, predicted or recognised; null: none, or no such rank.
  // `nodes` is by folder index.
  std::unique_ptr<cache::Plan> MakePlan(uint32_t rank, std::span<const cache::NodeId> nodes) const;
  // The next epoch's, by the rule that held before; null while no rule was seen to hold. To read
  // ahead across the end of an epoch.
  std::unique_ptr<cache::Plan> MakeNextPlan(uint32_t rank,
                                            std::span<const cache::NodeId> nodes) const;

  // Why the last plan was dropped; empty: none was.
  const std::string& WhyDropped() const { return why_dropped_; }
  // Why the accelerator is used no more; empty: it is, or there was none.
  const std::string& WhyOnCpu() const { return scanner_.WhyOnCpu(); }
  uint64_t Epoch() const { return epoch_; }
  uint64_t IgnoredCount() const { return ignored_count_; }
  uint64_t SliceCount() const { return slice_count_; }

 private:
  struct Known {  // the last order that was certain
    Candidate guess;
    uint64_t epoch = 0;
    std::optional<SuccessionRule> rule;
    std::vector<uint32_t> ranks;
    WorkerDeal deal;
  };
  struct Search {  // sources walked one after the other over the openings of one epoch
    uint64_t epoch = 0;
    std::vector<Opening> openings;
    std::vector<std::unique_ptr<CandidateSource>> sources;
    size_t at = 0;
  };

  bool Impossible() const;
  void StartEpoch();
  // What can follow known_ in `epoch`, likeliest first.
  std::vector<Successor> SuccessorsIn(uint64_t epoch) const;
  void Predict();
  void Feed(cache::ReaderId reader, uint32_t index);
  bool StepSearch(Search& search);
  void Consider(const Candidate& candidate, const Search& search);
  void Accept(std::unique_ptr<Hypothesis> hypothesis, uint64_t epoch);
  void LearnRule(const Candidate& guess, uint64_t epoch);
  bool StartCheapSearch();
  bool StartFullSearch();
  void SearchDefaultGenerator(uint32_t sampler_seed);

  const uint32_t sample_count_;
  const RecogniseEffort effort_;
  SeedScanner scanner_;
  const SeedSearch::Range seeds_;

  uint64_t epoch_ = 0;
  EpochReads reads_;
  std::unique_ptr<Hypothesis> current_;  // certain, of this epoch
  struct Read {
    cache::ReaderId reader;
    uint32_t index = 0;
  };
  std::set<uint32_t> late_readers_;  // threads that appeared near current_'s end, and
  std::vector<Read> late_reads_;     // what they read: at most a tenth of an epoch
  std::vector<std::unique_ptr<Hypothesis>> pending_;
  const Hypothesis* predicted_ = nullptr;  // one of pending_
  uint64_t recognised_after_ = 0;          // reads

  std::optional<Known> known_;
  GeneratorCursor cursor_{0};         // at known_'s permutation
  std::optional<Search> succession_;  // of this epoch
  std::optional<Search> cheap_;       // of this epoch
  uint32_t cheap_searches_left_ = kCheapSearchesMax;
  std::set<uint32_t> cheap_looked_;  // threads that a cheap search has looked at
  std::optional<Search> full_;       // of this epoch or an earlier one
  bool full_done_ = false;           // this epoch has had its full search

  std::optional<DefaultGeneratorSearch> default_search_;
  std::vector<GeneratorPosition> positions_;  // that may have given the seed of
  uint64_t positions_epoch_ = 0;              // this epoch
  uint32_t default_searches_left_ = 2;        // irregular draws defeat it: not for ever

  std::string why_dropped_;
  uint64_t ignored_count_ = 0;
  uint64_t slice_count_ = 0;
};

}  // namespace stokefs::hints
