// A dataset as the sample policies see it: samples 0 .. count-1, chunks of neighbours, sizes.
//
// Samples are numbered in the order of their SampleIds, so that a chunk is a stretch of numbers. A
// file larger than an extent counts as so many samples. Sizes are bytes; without sizes each sample
// is 1, and every "bytes" of a policy then means a number of samples. Immutable, thread-safe. Costs
// 1/16 byte a sample and 4 a chunk, and 4 bytes a sample where sizes are given.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stokefs::cache {

struct SampleIndex {
  uint32_t value = 0;

  auto operator<=>(const SampleIndex&) const = default;
};

struct ChunkIndex {
  uint32_t value = 0;

  auto operator<=>(const ChunkIndex&) const = default;
};

class DatasetShape {
 public:
  // `chunk_sizes[i]`: samples in chunk i, at least 1 each. `sizes`: none, or one a sample (a size
  // of 0 counts as 1, so that nothing is free).
  explicit DatasetShape(std::span<const uint32_t> chunk_sizes, std::vector<uint32_t> sizes = {});
  // Chunks of `chunk_samples` each (the last may be smaller), samples of size 1.
  struct EvenOptions {
    uint32_t sample_count = 0;
    uint32_t chunk_samples = 1;
  };
  static DatasetShape Even(EvenOptions options);

  uint32_t sample_count() const { return firsts_.back(); }
  uint32_t chunk_count() const { return static_cast<uint32_t>(firsts_.size() - 1); }
  uint64_t total_bytes() const { return total_bytes_; }

  uint32_t FirstOf(ChunkIndex chunk) const { return firsts_[chunk.value]; }
  uint32_t EndOf(ChunkIndex chunk) const { return firsts_[chunk.value + 1]; }
  uint32_t CountOf(ChunkIndex chunk) const { return EndOf(chunk) - FirstOf(chunk); }
  ChunkIndex ChunkOf(SampleIndex sample) const {
    uint32_t chunk = chunk_hints_[sample.value >> kHintShift];
    while (firsts_[chunk + 1] <= sample.value) ++chunk;
    return {chunk};
  }
  uint32_t SizeOf(SampleIndex sample) const { return sizes_.empty() ? 1 : sizes_[sample.value]; }

 private:
  static constexpr unsigned kHintShift = 6;

  std::vector<uint32_t> firsts_;       // by chunk, and the sample count at the end
  std::vector<uint32_t> chunk_hints_;  // the chunk of every 64th sample
  std::vector<uint32_t> sizes_;
  uint64_t total_bytes_ = 0;
};

}  // namespace stokefs::cache
