// How much is in flight at each source, and how much may be.
//
// Demand has a budget of bytes at each source and one for all of them together; one block may
// always be asked of each. Background has one budget of bytes for all, beside those of demand, so
// that it never takes what demand needs (one block may always fly), and a number at each source, so
// that what a reader comes for meanwhile is not queued far back inside the source. Pure; guarded by
// the read path's mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cache/chunk_source.h"

namespace stokefs::cache {

// One block in flight, as it counts.
struct FetchCharge {
  size_t source_index = 0;
  FetchPriority priority = FetchPriority::kDemand;
  uint64_t size_bytes = 0;
};

class FetchBudgets {
 public:
  struct SourceLimits {
    uint64_t bytes_max = 0;  // of demand
    uint64_t background_count_max = 0;
  };
  struct Limits {
    std::vector<SourceLimits> sources;
    uint64_t bytes_max = 0;  // of demand at all sources together
    uint64_t background_bytes_max = 0;
  };
  explicit FetchBudgets(Limits limits);

  bool Fits(const FetchCharge& charge) const;
  void Add(const FetchCharge& charge);
  void Remove(const FetchCharge& charge);

 private:
  struct InFlight {
    uint64_t bytes = 0;  // of demand
    uint64_t background_count = 0;
  };

  const Limits limits_;
  std::vector<InFlight> sources_;
  uint64_t bytes_ = 0;
  uint64_t background_bytes_ = 0;
};

}  // namespace stokefs::cache
