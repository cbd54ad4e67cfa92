// A memory of so many samples that does what a policy says, and counts. Fetches take no time: what
// is wished is there before the next read.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cache/sample_policy.h"

namespace stokefs::tools {

class SimMemory {
 public:
  struct Options {
    uint64_t capacity_bytes = 0;
  };
  struct Counts {
    uint64_t reads = 0, hits = 0;
    uint64_t fetched = 0;   // samples that came from disk or origin
    uint64_t loads = 0;     // reads of (parts of) chunks that filled memory
    uint64_t distinct = 0;  // samples given to readers at least once
    std::array<uint64_t, cache::kJobCountMax> job_reads{}, job_hits{};
  };

  // `shape` and `policy` outlive this.
  SimMemory(const cache::DatasetShape& shape, Options options, cache::SamplePolicy& policy);

  // True: a hit.
  bool Read(cache::SampleIndex asked, cache::JobIndex job);
  // Forgets what was counted.
  void StartCounting();
  const Counts& counts() const { return counts_; }
  uint64_t used_bytes() const { return used_bytes_; }
  bool Holds(cache::SampleIndex sample) const { return held_[sample.value]; }

 private:
  bool Insert(cache::SampleIndex sample);
  void Remove(cache::SampleIndex sample);
  void FulfilWishes();

  const cache::DatasetShape& shape_;
  const uint64_t capacity_bytes_;
  cache::SamplePolicy& policy_;
  std::vector<bool> held_, seen_;  // by sample
  uint64_t used_bytes_ = 0;
  cache::ChunkWish wish_;
  Counts counts_;
};

}  // namespace stokefs::tools
