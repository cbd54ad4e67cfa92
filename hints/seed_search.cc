#include "hints/seed_search.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace stokefs::hints {
namespace {

constexpr uint32_t kSeedsPerCall = 16 * kSeedKernelStep;  // 64 KiB of room for what passes

uint64_t RoundedUp(uint64_t count) {
  return (count + kSeedKernelStep - 1) / kSeedKernelStep * kSeedKernelStep;
}

}  // namespace

SeedSearch::SeedSearch(SeedFilter filter, const SeedKernel& kernel, Range range)
    : filter_(std::move(filter)),
      kernel_(kernel),
      begin_(range.begin / kSeedKernelStep * kSeedKernelStep),
      end_(std::min(RoundedUp(range.end), uint64_t{1} << 32)),
      next_(begin_),
      found_(kSeedsPerCall) {
  STOKEFS_CHECK(range.begin <= range.end);
}

void SeedSearch::Step(uint64_t seed_count, std::vector<uint32_t>& passed) {
  uint64_t left = std::min(RoundedUp(seed_count), LeftCount());
  while (left > 0) {
    auto const count = static_cast<uint32_t>(std::min<uint64_t>(left, kSeedsPerCall));
    SeedKernelInput const input{
        .conditions = filter_.Conditions().data(),
        .condition_count = static_cast<uint32_t>(filter_.Conditions().size()),
        .group_size = filter_.GroupSize(),
        .first_output = filter_.FirstOutput(),
        .window_count = filter_.WindowCount(),
        .first_seed = static_cast<uint32_t>(next_),
        .seed_count = count,
    };
    size_t const found_count = kernel_.scan(input, found_.data());
    passed.insert(passed.end(), found_.begin(),
                  found_.begin() + static_cast<std::ptrdiff_t>(found_count));
    next_ += count;
    left -= count;
  }
}

}  // namespace stokefs::hints
