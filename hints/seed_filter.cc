#include "hints/seed_filter.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "hints/mt19937.h"

namespace stokefs::hints {
namespace {

uint32_t OddInverse(uint32_t odd) {
  uint32_t inverse = odd;  // right to 3 bits; each round doubles them
  for (int round = 0; round < 4; ++round) inverse *= 2 - odd * inverse;
  return inverse;
}

SeedCondition MakeCondition(const OutputRemainder& wanted, uint32_t first_output) {
  STOKEFS_CHECK(wanted.modulus >= 1 && wanted.modulus <= uint64_t{1} << 32);
  STOKEFS_CHECK(wanted.remainder < wanted.modulus);
  SeedCondition condition{.window_index = wanted.output - first_output,
                          .remainder = wanted.remainder};
  if (wanted.modulus >> 32 != 0) return condition;  // the whole output: difference <= 0
  auto const modulus = static_cast<uint32_t>(wanted.modulus);
  condition.rotation = static_cast<uint32_t>(std::countr_zero(modulus));
  condition.inverse = OddInverse(modulus >> condition.rotation);
  condition.limit = UINT32_MAX / modulus;
  return condition;
}

}  // namespace

SeedFilter::SeedFilter(const std::vector<std::vector<OutputRemainder>>& groups) {
  STOKEFS_CHECK(!groups.empty() && groups.size() <= kFilterGroupsMax && !groups[0].empty());
  STOKEFS_CHECK(groups.size() * groups[0].size() <= kFilterConditionsMax);
  group_size_ = static_cast<uint32_t>(groups[0].size());
  uint32_t first = UINT32_MAX, last = 0;
  for (auto const& group : groups) {
    STOKEFS_CHECK(group.size() == group_size_);
    for (auto const& wanted : group) {
      first = std::min(first, wanted.output);
      last = std::max(last, wanted.output);
    }
  }
  STOKEFS_CHECK(last < mt::kStateCount - mt::kMiddle && last - first < kFilterWindowMax);
  first_output_ = first;
  window_count_ = last - first + 1;
  for (auto const& group : groups) {
    for (auto const& wanted : group) conditions_.push_back(MakeCondition(wanted, first));
  }
}

}  // namespace stokefs::hints
