// Training runs, made up or recorded: which job reads which sample, read by read.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "cache/baseline/belady.h"
#include "cache/sample_policy.h"

namespace stokefs::tools {

enum class TraceKind : uint8_t {
  kUniform,      // each sample once an epoch, in a new random order
  kZipf,         // draws with replacement; the k-th most frequent sample weighs k^-exponent
  kLogRank,      // the same; each sample weighs log(j + 10), its rank j evenly from 0 to 255
  kDistributed,  // `world` ranks share each epoch's order as DistributedSampler does, with padding
  kOutOfPhase,   // `jobs` jobs, each an even part of an epoch later than the one before
  kInStep,       // `jobs` jobs that read the same order at the same time
};
// uniform, zipf, log-rank, distributed, out-of-phase, in-step
std::optional<TraceKind> ParseTraceKind(std::string_view name);

struct TraceOptions {
  TraceKind kind = TraceKind::kUniform;
  uint32_t sample_count = 0;
  uint32_t epoch_count = 1;
  uint32_t job_count = 1;
  uint32_t world = 1;
  double exponent = 0.9;
  uint64_t seed = 1;
};

struct Trace {
  struct Epoch {
    uint64_t position = 0;  // of its first read
    cache::JobIndex job;
  };

  struct JobTraits {
    bool is_weighted = false;
    std::vector<bool> scope;  // by sample: what it may read; empty: all
  };

  std::vector<uint32_t> samples;  // read by read
  std::vector<uint8_t> jobs;      // the same; empty: all of job 0
  std::vector<Epoch> epochs;      // by position; a job's first starts the job
  uint64_t last_epoch = 0;        // the position from which reads are counted
  uint32_t job_count = 1;
  std::vector<float> weights;     // by sample, 1 on average; empty: samples are read once an epoch
  std::vector<JobTraits> traits;  // by job; empty: all draw by weights, if there are any

  cache::JobIndex JobAt(uint64_t position) const {
    return {jobs.empty() ? uint8_t{0} : jobs[position]};
  }
};

Trace MakeTrace(const TraceOptions& options);

// Reads [first, end) of `trace`, so many times over; those of the last time count. Each time begins
// an epoch of each job. All but the last time each epoch is read in another order, as epochs are:
// in one that comes again and again, what memory holds at the end is what is read last.
struct TraceSlice {
  uint64_t first = 0, end = 0;
};
Trace Repeat(const Trace& trace, TraceSlice slice, unsigned round_count);
// From the first epoch's beginning to the last one's, of the job that reads the most; all of
// `trace` where that is no whole epoch.
TraceSlice WholeEpochs(const Trace& trace);

// A trace as one who knows the future sees it, from a place that moves with the reads.
class TraceFuture final : public cache::baseline::FutureReads {
 public:
  // `trace` outlives this.
  TraceFuture(const Trace& trace, uint32_t sample_count);

  void MoveTo(uint64_t position) { now_ = position; }
  uint64_t ReadCount() const override { return trace_.samples.size(); }
  cache::SampleIndex SampleAt(uint64_t position) const override {
    return {trace_.samples[position]};
  }
  uint64_t NextUse() const override { return next_[now_]; }

 private:
  const Trace& trace_;
  std::vector<uint32_t> next_;  // by position: the next read of the same sample
  uint64_t now_ = 0;
};

}  // namespace stokefs::tools
