#include "hints/seed_search.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace stokefs::hints {
namespace {

uint64_t RoundedUp(uint64_t count) {
  return (count + kSeedKernelStep - 1) / kSeedKernelStep * kSeedKernelStep;
}

}  // namespace

SeedSearch::SeedSearch(SeedFilter filter, SeedScanner& scanner, Range range)
    : filter_(std::move(filter)),
      scanner_(scanner),
      begin_(range.begin / kSeedKernelStep * kSeedKernelStep),
      end_(std::min(RoundedUp(range.end), uint64_t{1} << 32)),
      next_(begin_) {
  STOKEFS_CHECK(range.begin <= range.end);
}

void SeedSearch::Step(uint64_t seed_count, std::vector<uint32_t>& passed) {
  uint64_t const stop = next_ + std::min(RoundedUp(seed_count), LeftCount());
  scanner_.Scan(filter_, {.begin = next_, .end = stop}, passed);
  next_ = stop;
}

}  // namespace stokefs::hints
