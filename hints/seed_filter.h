// What is known of a generator's first outputs, in a form that a SIMD kernel tests without
// dividing.
//
// A condition says: output t modulo m is r. With m = 2^k * odd that is a multiplication by odd's
// inverse modulo 2^32, a rotation by k and one comparison (Granlund and Montgomery, "Division by
// invariant integers", 1994; exact when output t >= r, and what passes wrongly below r is found by
// whoever looks at the survivors). A group is a run of conditions on consecutive outputs that must
// all hold; a seed passes a filter when any group holds. Passing proves nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "hints/seed_kernel_input.h"

namespace stokefs::hints {

struct OutputRemainder {
  uint32_t output = 0;
  uint32_t remainder = 0;
  uint64_t modulus = 0;  // 1 .. 2^32; the remainder is below it
};

class SeedFilter {
 public:
  // All groups have the same number of conditions, at least 1, at most kFilterGroupsMax groups and
  // kFilterConditionsMax conditions in all, and all outputs lie within kFilterWindowMax of each
  // other, the last below 227 (of the first block).
  explicit SeedFilter(const std::vector<std::vector<OutputRemainder>>& groups);

  uint32_t FirstOutput() const { return first_output_; }
  uint32_t WindowCount() const { return window_count_; }
  uint32_t GroupSize() const { return group_size_; }
  const std::vector<SeedCondition>& Conditions() const { return conditions_; }  // group by group

 private:
  uint32_t first_output_ = 0;
  uint32_t window_count_ = 0;
  uint32_t group_size_ = 0;
  std::vector<SeedCondition> conditions_;
};

}  // namespace stokefs::hints
