// A search over all 2^32 seeds, or a part of them, in slices that a caller runs when it likes.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "hints/seed_filter.h"
#include "hints/seed_scanner.h"

namespace stokefs::hints {

// Not thread-safe.
class SeedSearch {
 public:
  using Range = SeedRange;  // widened to whole kernel steps
  // With about 4 passing in 4,096, looking at what passes stays far below the search's own price on
  // a CPU. `scanner` outlives this.
  SeedSearch(SeedFilter filter, SeedScanner& scanner, Range range);
  SeedSearch(SeedFilter filter, SeedScanner& scanner)
      : SeedSearch(std::move(filter), scanner, Range{}) {}

  // Tests the next `seed_count` seeds (rounded up), or those that are left, and appends the ones
  // that pass, in order.
  void Step(uint64_t seed_count, std::vector<uint32_t>& passed);
  // The same for about 10 ms.
  void Step(std::vector<uint32_t>& passed) { Step(scanner_.SeedsASlice(), passed); }

  bool Done() const { return next_ >= end_; }
  uint64_t TestedCount() const { return next_ - begin_; }
  uint64_t LeftCount() const { return end_ - next_; }

 private:
  const SeedFilter filter_;
  SeedScanner& scanner_;
  const uint64_t begin_;
  const uint64_t end_;
  uint64_t next_;
};

}  // namespace stokefs::hints
