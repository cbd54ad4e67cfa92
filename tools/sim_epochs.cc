#include "tools/sim_epochs.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>

#include "cache/baseline/arc.h"
#include "cache/baseline/memhub.h"
#include "cache/baseline/pinned.h"
#include "cache/baseline/recency.h"
#include "cache/baseline/s3_fifo.h"
#include "tools/exit_status.h"
#include "tools/sim_replay.h"
#include "tools/sim_shade.h"

namespace stokefs::tools {
namespace {

using cache::DatasetShape;
using cache::SamplePolicy;

// ceil(1 / memory), and 5 for 0.2, whose double is a little more than a fifth.
uint32_t GroupChunks(double memory) {
  return static_cast<uint32_t>(std::ceil(std::min(1 / memory, 1e9) - 1e-9));
}

std::unique_ptr<SamplePolicy> MakePolicy(const std::string& name, double memory,
                                         const DatasetShape& shape, uint64_t capacity,
                                         const Trace& trace, const TraceFuture* future) {
  namespace baseline = cache::baseline;
  if (name == "stokefs") return MakeEpochPolicy(shape, capacity, trace);
  if (name == "lru") return std::make_unique<baseline::Lru>(shape);
  if (name == "fifo") return std::make_unique<baseline::Fifo>(shape);
  if (name == "s3fifo")
    return std::make_unique<baseline::S3Fifo>(shape, baseline::S3Fifo::Options{capacity});
  if (name == "arc")
    return std::make_unique<baseline::Arc>(shape, baseline::Arc::Options{capacity});
  if (name == "pinned")
    return std::make_unique<baseline::Pinned>(shape, baseline::Pinned::Options{capacity},
                                              trace.weights);
  if (name == "memhub")
    return std::make_unique<baseline::MemHub>(shape,
                                              baseline::MemHub::Options{GroupChunks(memory)});
  if (name == "belady")
    return std::make_unique<baseline::Belady>(shape, baseline::Belady::Options{capacity}, *future);
  return nullptr;
}

}  // namespace

const std::vector<std::string>& SimPolicyNames() {
  static const std::vector<std::string> names = {"stokefs", "lru",   "fifo",   "s3fifo", "arc",
                                                 "pinned",  "shade", "memhub", "belady"};
  return names;
}

double UniformBound(double memory) { return memory * (1 - std::log(memory)); }

double BoundOf(const Trace& trace, double memory) {
  if (trace.weights.empty()) return UniformBound(memory);
  std::vector<float> weights = trace.weights;
  std::sort(weights.begin(), weights.end(), std::greater<>());
  auto const count =
      static_cast<std::ptrdiff_t>(std::llround(memory * static_cast<double>(weights.size())));
  double const kept = std::accumulate(weights.begin(), weights.begin() + count, 0.0);
  return kept / static_cast<double>(weights.size());
}

SimRun MakeRun(const SimOptions& options) {
  return {.shape = DatasetShape::Even(
              {.sample_count = options.trace.sample_count, .chunk_samples = options.chunk_samples}),
          .trace = MakeTrace(options.trace)};
}

base::Result<SimRow> RunPolicy(const SimOptions& options, const SimRun& run,
                               const std::string& name, double memory) {
  const DatasetShape& shape = run.shape;
  auto const capacity = static_cast<uint64_t>(
      std::max<long long>(std::llround(memory * static_cast<double>(shape.total_bytes())), 1));
  SimMemory::Counts counts;
  if (name == "shade") {
    if (run.is_recorded)
      return Refuse("shade draws its own order: it cannot follow a recorded one");
    counts = RunShade({.shape = &shape,
                       .capacity_samples = capacity,
                       .epoch_count = options.trace.epoch_count,
                       .replication = options.replication,
                       .seed = options.trace.seed});
  } else {
    std::optional<TraceFuture> future;
    if (name == "belady") future.emplace(run.trace, shape.sample_count());
    TraceFuture* const known = future ? &*future : nullptr;
    auto const policy = MakePolicy(name, memory, shape, capacity, run.trace, known);
    if (!policy) return Refuse("no such policy: " + name);
    SimMemory sim(shape, {.capacity_bytes = capacity}, *policy);
    Replay(run.trace, *policy, {.future = known}, sim);
    counts = sim.counts();
  }
  auto const reads = static_cast<double>(std::max<uint64_t>(counts.reads, 1));
  return SimRow{.policy = name,
                .memory = memory,
                .hit_ratio = static_cast<double>(counts.hits) / reads,
                .reads_per_sample = static_cast<double>(counts.fetched) / reads,
                .loads_per_chunk = static_cast<double>(counts.loads) / shape.chunk_count(),
                .coverage = static_cast<double>(counts.distinct) / shape.sample_count(),
                .counts = counts};
}

}  // namespace stokefs::tools
