#include "cache/baseline/pinned.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace stokefs::cache::baseline {

Pinned::Pinned(const DatasetShape& shape, Options options, std::span<const float> weights)
    : shape_(shape), pinned_(shape.sample_count()), held_(shape.sample_count()) {
  STOKEFS_CHECK(weights.empty() || weights.size() == shape.sample_count());
  std::vector<uint32_t> order(shape.sample_count());
  std::iota(order.begin(), order.end(), 0u);
  auto const value_of = [&](uint32_t i) {
    return weights[i] / static_cast<float>(shape.SizeOf({i}));
  };
  if (!weights.empty())
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return value_of(a) > value_of(b); });
  uint64_t left_bytes = options.capacity_bytes;
  for (uint32_t const i : order) {
    if (shape.SizeOf({i}) > left_bytes) break;
    left_bytes -= shape.SizeOf({i});
    pinned_[i] = true;
  }
}

bool Pinned::NextWish(ChunkWish& wish) {
  while (cursor_ < shape_.chunk_count()) {
    wish.chunk = {cursor_++};
    wish.samples.clear();
    for (uint32_t i = shape_.FirstOf(wish.chunk); i < shape_.EndOf(wish.chunk); ++i)
      if (pinned_[i] && !held_[i]) wish.samples.push_back({i});
    wish.read_count = static_cast<uint32_t>(wish.samples.size());
    if (wish.read_count > 0) return true;
  }
  return false;
}

}  // namespace stokefs::cache::baseline
