#include "hints/rank_split.h"

#include "base/check.h"

namespace stokefs::hints {

uint32_t RankLength(uint32_t sample_count, const RankSplit& split) {
  STOKEFS_CHECK(split.world > 0 && split.rank < split.world);
  if (split.drop_last) return sample_count / split.world;
  return static_cast<uint32_t>((uint64_t{sample_count} + split.world - 1) / split.world);
}

std::vector<uint32_t> RankSequence(std::span<const uint32_t> order, const RankSplit& split) {
  auto const length = RankLength(static_cast<uint32_t>(order.size()), split);
  std::vector<uint32_t> sequence;
  sequence.reserve(length);
  for (uint64_t k = 0; k < length; ++k)
    sequence.push_back(order[(split.rank + k * split.world) % order.size()]);
  return sequence;
}

}  // namespace stokefs::hints
