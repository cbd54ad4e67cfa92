// What a job waits for, and what would change that: its trace replayed through the policy that the
// mount runs, with more memory, more disk, or its order known. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/trace_text.h"

namespace stokefs::tools {

struct WhatIf {
  enum class Change : uint8_t { kMemory, kDisk, kOrderKnown };

  Change change = Change::kMemory;
  uint64_t more_bytes = 0;  // of memory or disk
  bool holds_all = false;   // with that much, all of the dataset
  double hit_ratio = 0;
  double seconds = 0;    // of the epoch
  bool at_best = false;  // what the other tier takes was not measured: taken for nothing
  std::string bound;
};

struct JobWhy {
  std::string name, root;
  TracedEpoch epoch;         // the last whole one, or the only one
  std::string bound;         // "trainer", or the tier that it waits for the longest
  double replayed_hits = 0;  // as the policy alone would have hit: beside what was measured
  std::vector<WhatIf> what_if;
  std::string why_no_what_if;  // empty: there is one
};

std::vector<JobWhy> ExplainJobs(const RecordedTrace& recorded);

// For a person, and as {"jobs": [...]}.
std::string WhyText(const std::vector<JobWhy>& jobs);
std::string WhyJson(const std::vector<JobWhy>& jobs);

}  // namespace stokefs::tools
