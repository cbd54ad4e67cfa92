// How the ranks of a data-parallel job share one order out, as DistributedSampler does.
//
// Rank r of `world` takes entries r, r + world, ... of the order, which was made divisible before:
// by repeating it from its start (padding), or with drop_last by cutting its tail.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stokefs::hints {

struct RankSplit {
  uint32_t world = 1;
  uint32_t rank = 0;
  bool drop_last = false;

  bool operator==(const RankSplit&) const = default;
};

// Samples that each rank reads of `sample_count` (with drop_last possibly 0).
uint32_t RankLength(uint32_t sample_count, const RankSplit& split);

// The rank's own sequence of folder indices, padding included. Empty for an empty order.
std::vector<uint32_t> RankSequence(std::span<const uint32_t> order, const RankSplit& split);

}  // namespace stokefs::hints
