// Runs policies over a training run: one row for each policy and memory size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/dataset_shape.h"
#include "tools/sim_memory.h"
#include "tools/sim_trace.h"

namespace stokefs::tools {

// stokefs, lru, fifo, s3fifo, arc, pinned, shade, memhub, belady
const std::vector<std::string>& SimPolicyNames();

struct SimOptions {
  TraceOptions trace;
  uint32_t chunk_samples = 128;
  double replication = 1;  // SHADE's sampler: how often what is in memory is repeated in an epoch
  std::vector<double> memory;  // fractions of the dataset, above 0 and at most 1
  std::vector<std::string> policies;
};

struct SimRow {
  std::string policy;
  double memory = 0;
  double hit_ratio = 0;         // reads of the last epoch that memory answered
  double reads_per_sample = 0;  // samples fetched for each sample read, in the last epoch
  double loads_per_chunk = 0;   // chunk reads that filled memory, in the last epoch
  double coverage = 0;          // share of the dataset that the last epoch gave to its readers
  SimMemory::Counts counts;     // of the last epoch
};

// The most that a policy can hit that does not know the order: c(1 + ln(1/c)).
double UniformBound(double memory);
// What the run's `memory` can give at most: that, or the sum of the largest weights.
double BoundOf(const Trace& trace, double memory);

// What is run: the dataset and the reads of it.
struct SimRun {
  cache::DatasetShape shape;
  Trace trace;
  bool is_recorded = false;
};
SimRun MakeRun(const SimOptions& options);

// One row, of `memory` as a fraction of the dataset. EINVAL: no such policy, or SHADE's for a
// recorded run, since that one draws its own order.
base::Result<SimRow> RunPolicy(const SimOptions& options, const SimRun& run,
                               const std::string& policy, double memory);

}  // namespace stokefs::tools
