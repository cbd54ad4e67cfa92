#include "cache/chunk_layout.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace stokefs::cache {
namespace {

// ChunkIds name 64 bits of the hash; samples that agree in all of them stay in one chunk.
constexpr int kBitCountMax = 64;

class Splitter {
 public:
  Splitter(std::span<const LaidOutSample> sorted, ChunkLayoutOptions options)
      : sorted_(sorted), options_(options) {}

  // Lays out samples [first, end), all of whose ids start with the `bit_count` bits of `prefix`.
  void Split(uint64_t prefix, int bit_count, size_t first, size_t end) {
    if (first == end) return;
    uint64_t bytes = 0;
    for (size_t i = first; i < end && bytes <= options_.chunk_bytes; ++i) {
      bytes += sorted_[i].size_bytes;
    }
    bool const fits = bytes <= options_.chunk_bytes && end - first <= options_.chunk_samples;
    if (fits || end - first == 1 || bit_count == kBitCountMax) {
      Add(prefix, bit_count, first, end);
      return;
    }
    uint64_t const upper = prefix | uint64_t{1} << (63 - bit_count);
    auto const begin = sorted_.begin();
    auto const middle = std::partition_point(
        begin + static_cast<ptrdiff_t>(first), begin + static_cast<ptrdiff_t>(end),
        [&](const LaidOutSample& sample) { return sample.id.high < upper; });
    auto const split = static_cast<size_t>(middle - begin);
    Split(prefix, bit_count + 1, first, split);
    Split(upper, bit_count + 1, split, end);
  }

  std::vector<Chunk> Take() { return std::move(chunks_); }

 private:
  void Add(uint64_t prefix, int bit_count, size_t first, size_t end) {
    Chunk chunk{.id = {.prefix = prefix, .bit_count = static_cast<uint8_t>(bit_count)},
                .first = static_cast<uint32_t>(first),
                .count = static_cast<uint32_t>(end - first)};
    for (size_t i = first; i < end; ++i) chunk.size_bytes += sorted_[i].size_bytes;
    chunks_.push_back(chunk);
  }

  const std::span<const LaidOutSample> sorted_;
  const ChunkLayoutOptions options_;
  std::vector<Chunk> chunks_;
};

}  // namespace

std::vector<Chunk> LayOutChunks(std::span<const LaidOutSample> sorted, ChunkLayoutOptions options) {
  STOKEFS_CHECK(sorted.size() <= 0xFFFFFFFF);
  Splitter splitter(sorted, options);
  splitter.Split(0, 0, 0, sorted.size());
  return splitter.Take();
}

}  // namespace stokefs::cache
