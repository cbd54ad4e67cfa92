// What jobs read lately, as the control file `trace` tells it, and back: for stokesim and `fsctl
// why`, which replay it. docs/POLICY.md, "Traces", has the grammar.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/dataset_shape.h"
#include "cache/ids.h"
#include "tools/sim_trace.h"

namespace stokefs::tools {

struct TracedTier {
  uint64_t read_count = 0;
  double waited_s = 0;
};

struct TracedEpoch {
  uint64_t index = 0;
  double progress = 0;   // distinct samples read / samples of the job
  double seconds = 0;    // from its first read to its last
  double thought_s = 0;  // between answers and next READs, of all readers together
  std::array<TracedTier, cache::kTierCount> by_tier{};

  uint64_t ReadCount() const;
  uint64_t HitCount() const;
  double WaitedSeconds() const;  // of all readers together
};

struct TracedJob {
  cache::JobIndex index;
  std::string name, root;
  std::vector<TracedEpoch> epochs;  // the newest last; at least one
};

struct RecordedTrace {
  uint64_t memory_bytes = 0;     // what the policy plans with
  uint64_t disk_bytes = 0;       // 0: no disk tier
  uint64_t origin_parallel = 0;  // requests at once
  std::vector<TracedJob> jobs;
  std::optional<cache::DatasetShape> shape;  // none: no job was seen, and nothing is recorded
  Trace trace;                               // with its jobs' traits
};

std::string TraceText(const RecordedTrace& recorded);
// EINVAL says what is wrong, and in which line.
base::Result<RecordedTrace> ParseTraceText(std::string_view text);

}  // namespace stokefs::tools
