#include "cache/dataset_shape.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace stokefs::cache {

DatasetShape::DatasetShape(std::span<const uint32_t> chunk_sizes, std::vector<uint32_t> sizes)
    : sizes_(std::move(sizes)) {
  firsts_.reserve(chunk_sizes.size() + 1);
  firsts_.push_back(0);
  for (uint32_t const size : chunk_sizes) {
    STOKEFS_CHECK(size > 0);
    firsts_.push_back(firsts_.back() + size);
  }
  STOKEFS_CHECK(sizes_.empty() || sizes_.size() == sample_count());
  uint32_t chunk = 0;
  for (uint32_t sample = 0; sample < sample_count(); sample += 1u << kHintShift) {
    while (firsts_[chunk + 1] <= sample) ++chunk;
    chunk_hints_.push_back(chunk);
  }
  if (sizes_.empty()) total_bytes_ = sample_count();
  for (uint32_t& size : sizes_) {
    size = std::max(size, 1u);
    total_bytes_ += size;
  }
}

DatasetShape DatasetShape::Even(EvenOptions options) {
  STOKEFS_CHECK(options.chunk_samples > 0);
  std::vector<uint32_t> chunk_sizes(options.sample_count / options.chunk_samples,
                                    options.chunk_samples);
  if (uint32_t const rest = options.sample_count % options.chunk_samples; rest > 0)
    chunk_sizes.push_back(rest);
  return DatasetShape(chunk_sizes);
}

}  // namespace stokefs::cache
