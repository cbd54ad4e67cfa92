#include "cache/chunk_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace stokefs::cache {
namespace {

std::vector<LaidOutSample> MakeSamples(size_t count, uint64_t size_max, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<LaidOutSample> samples;
  for (size_t i = 0; i < count; ++i) {
    samples.push_back({.id = MakeSampleId("sample " + std::to_string(i)),
                       .size_bytes = random() % (size_max + 1)});
  }
  std::sort(samples.begin(), samples.end(), [](auto& a, auto& b) { return a.id < b.id; });
  return samples;
}

bool IsIn(const ChunkId& chunk, const SampleId& sample) {
  return chunk.bit_count == 0 || (sample.high ^ chunk.prefix) >> (64 - chunk.bit_count) == 0;
}

// What a chunk consists of, by its id.
std::map<ChunkId, std::pair<uint32_t, uint64_t>> Members(const std::vector<Chunk>& chunks) {
  std::map<ChunkId, std::pair<uint32_t, uint64_t>> members;
  for (Chunk const& chunk : chunks) members[chunk.id] = {chunk.count, chunk.size_bytes};
  return members;
}

class ChunkLayoutTest : public ::testing::TestWithParam<ChunkLayoutOptions> {};

TEST_P(ChunkLayoutTest, ChunksCoverAllSamplesInOrderWithinTheirBounds) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (size_t count : {0, 1, 2, 100, 5000}) {
    auto const samples = MakeSamples(count, 9000, seed);
    auto const chunks = LayOutChunks(samples, GetParam());
    size_t next = 0;
    for (Chunk const& chunk : chunks) {
      ASSERT_EQ(chunk.first, next);
      ASSERT_GT(chunk.count, 0u);
      uint64_t bytes = 0;
      for (size_t i = next; i < next + chunk.count; ++i) {
        ASSERT_TRUE(IsIn(chunk.id, samples[i].id));
        bytes += samples[i].size_bytes;
      }
      next += chunk.count;
      EXPECT_EQ(chunk.size_bytes, bytes);
      if (chunk.count > 1) {
        EXPECT_LE(chunk.count, GetParam().chunk_samples);
        EXPECT_LE(chunk.size_bytes, GetParam().chunk_bytes);
      }
    }
    EXPECT_EQ(next, samples.size());
  }
}

TEST_P(ChunkLayoutTest, OneAddedSampleChangesOneChunkOrSplitsIt) {
  auto const samples = MakeSamples(5000, 9000, 1);
  auto const before = Members(LayOutChunks(samples, GetParam()));
  for (int i = 0; i < 50; ++i) {
    LaidOutSample const added{.id = MakeSampleId("added " + std::to_string(i)), .size_bytes = 100};
    auto more = samples;
    more.insert(std::upper_bound(more.begin(), more.end(), added,
                                 [](auto& a, auto& b) { return a.id < b.id; }),
                added);
    auto const after = Members(LayOutChunks(more, GetParam()));
    size_t gone_or_changed = 0;
    for (auto const& [id, what] : before) {
      auto const found = after.find(id);
      if (found != after.end() && found->second == what) continue;
      ++gone_or_changed;
      EXPECT_TRUE(IsIn(id, added.id));
    }
    EXPECT_LE(gone_or_changed, 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(Options, ChunkLayoutTest,
                         ::testing::Values(ChunkLayoutOptions{},
                                           ChunkLayoutOptions{.chunk_bytes = 64 << 10},
                                           ChunkLayoutOptions{.chunk_samples = 10},
                                           ChunkLayoutOptions{.chunk_bytes = 1},
                                           ChunkLayoutOptions{.chunk_samples = 1}));

TEST(ChunkLayout, SamplesOfOneHashPrefixStayTogether) {
  std::vector<LaidOutSample> samples;
  for (uint64_t low = 0; low < 5; ++low) samples.push_back({{.high = 7, .low = low}, 10});
  auto const chunks = LayOutChunks(samples, {.chunk_bytes = 10, .chunk_samples = 1});
  ASSERT_EQ(chunks.size(), 1u);
  EXPECT_EQ(chunks[0].count, 5u);
  EXPECT_EQ(chunks[0].id.bit_count, 64);
}

}  // namespace
}  // namespace stokefs::cache
