// A search over all 2^32 seeds, or a part of them, in slices that a caller runs when it likes.
#pragma once

#include <cstdint>
#include <vector>

#include "hints/seed_filter.h"
#include "hints/seed_kernel.h"

namespace stokefs::hints {

// Not thread-safe. No allocation but in the constructor and for what passes.
class SeedSearch {
 public:
  struct Range {
    uint64_t begin = 0;
    uint64_t end = uint64_t{1} << 32;  // rounded up to a whole kernel step
  };
  // With about 4 passing in 4,096, looking at what passes stays far below the search's own price.
  SeedSearch(SeedFilter filter, const SeedKernel& kernel, Range range);
  SeedSearch(SeedFilter filter, const SeedKernel& kernel)
      : SeedSearch(std::move(filter), kernel, Range{}) {}

  // Tests the next `seed_count` seeds (rounded up), or those that are left, and appends the ones
  // that pass, in order.
  void Step(uint64_t seed_count, std::vector<uint32_t>& passed);

  bool Done() const { return next_ >= end_; }
  uint64_t TestedCount() const { return next_ - begin_; }
  uint64_t LeftCount() const { return end_ - next_; }

 private:
  const SeedFilter filter_;
  const SeedKernel& kernel_;
  const uint64_t begin_;
  const uint64_t end_;
  uint64_t next_;
  std::vector<uint32_t> found_;
};

}  // namespace stokefs::hints
