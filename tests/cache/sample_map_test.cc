#include "cache/sample_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace stokefs::cache {
namespace {

constexpr uint64_t kExtent = 1000;
constexpr SampleMap::Options kOptions{.extent_bytes = kExtent,
                                      .layout = {.chunk_bytes = 4000, .chunk_samples = 8}};

SampleMap::File File(uint32_t node, uint64_t size_bytes) {
  return {MakeSampleId("folder/" + std::to_string(node)), NodeId{node}, size_bytes};
}

TEST(SampleMap, SmallFilesAreSamplesInTheOrderOfTheirIds) {
  std::vector<SampleMap::File> files;
  for (uint32_t node = 2; node < 102; ++node) files.push_back(File(node, 10 + node));
  auto const map = SampleMap::Make(files, kOptions);
  ASSERT_NE(map, nullptr);
  ASSERT_EQ(map->shape().sample_count(), 100u);
  for (uint32_t i = 0; i < 100; ++i) {
    BlockKey const key = map->KeyOf({i});
    EXPECT_EQ(key.index, 0u);
    EXPECT_EQ(map->shape().SizeOf({i}), 10 + key.node.value);
    EXPECT_EQ(map->Find(key), SampleIndex{i});
    if (i > 0) {
      auto const id = [&](uint32_t sample) {
        return MakeSampleId("folder/" + std::to_string(map->KeyOf({sample}).node.value));
      };
      EXPECT_LT(id(i - 1), id(i));
    }
  }
}

TEST(SampleMap, ChunksAreWhatTheLayoutSaysOfTheSmallFiles) {
  std::vector<SampleMap::File> files;
  std::vector<LaidOutSample> sorted;
  for (uint32_t node = 2; node < 402; ++node) files.push_back(File(node, 100 + node % 700));
  files.push_back(File(5000, 10 * kExtent));
  std::sort(files.begin(), files.end(), [](auto& a, auto& b) { return a.id < b.id; });
  for (auto const& file : files)
    if (file.size_bytes <= kExtent) sorted.push_back({file.id, file.size_bytes});
  auto const map = SampleMap::Make(files, kOptions);
  ASSERT_NE(map, nullptr);
  auto const chunks = LayOutChunks(sorted, kOptions.layout);
  ASSERT_EQ(map->shape().chunk_count(), chunks.size() + 10);
  for (uint32_t i = 0; i < chunks.size(); ++i) {
    EXPECT_EQ(map->shape().FirstOf({i}), chunks[i].first);
    EXPECT_EQ(map->shape().CountOf({i}), chunks[i].count);
  }
}

TEST(SampleMap, ALargeFileIsItsExtentsInARowEachAChunkOfItsOwn) {
  auto const map = SampleMap::Make(
      {File(7, 2500), File(5, 10), File(3, kExtent), File(9, 2 * kExtent)}, kOptions);
  ASSERT_NE(map, nullptr);
  ASSERT_EQ(map->shape().sample_count(), 2u + 3 + 2);
  for (auto const& [node, sizes] :
       std::map<uint32_t, std::vector<uint32_t>>{{7, {1000, 1000, 500}}, {9, {1000, 1000}}}) {
    auto const first = map->Find({NodeId{node}, 0});
    ASSERT_TRUE(first.has_value());
    EXPECT_GE(first->value, 2u) << "behind the small files";
    for (uint32_t i = 0; i < sizes.size(); ++i) {
      SampleIndex const sample{first->value + i};
      EXPECT_EQ(map->Find({NodeId{node}, i}), sample);
      EXPECT_EQ(map->KeyOf(sample), (BlockKey{NodeId{node}, i}));
      EXPECT_EQ(map->shape().SizeOf(sample), sizes[i]);
      EXPECT_EQ(map->shape().CountOf(map->shape().ChunkOf(sample)), 1u);
    }
    EXPECT_FALSE(map->Find({NodeId{node}, static_cast<uint32_t>(sizes.size())}).has_value());
  }
  EXPECT_FALSE(map->Find({NodeId{3}, 1}).has_value()) << "just as large as an extent is small";
}

TEST(SampleMap, LargeFilesAloneAreAMapToo) {
  auto const map = SampleMap::Make({File(2, 5 * kExtent)}, kOptions);
  ASSERT_NE(map, nullptr);
  EXPECT_EQ(map->shape().sample_count(), 5u);
  EXPECT_EQ(map->shape().chunk_count(), 5u);
}

TEST(SampleMap, EmptyFilesAreLeftOutAndNothingElseIsNoMap) {
  auto const map = SampleMap::Make({File(2, 0), File(3, 1), File(4, 0)}, kOptions);
  ASSERT_NE(map, nullptr);
  EXPECT_EQ(map->shape().sample_count(), 1u);
  EXPECT_FALSE(map->Find({NodeId{2}, 0}).has_value());
  EXPECT_FALSE(map->Find({NodeId{4}, 0}).has_value());
  EXPECT_EQ(SampleMap::Make({}, kOptions), nullptr);
  EXPECT_EQ(SampleMap::Make({File(2, 0)}, kOptions), nullptr);
}

TEST(SampleMap, WhatItDoesNotKnowItDoesNotFind) {
  auto const map = SampleMap::Make({File(10, 5), File(20, 3 * kExtent), File(30, 5)}, kOptions);
  ASSERT_NE(map, nullptr);
  for (uint32_t const node : {0u, 1u, 9u, 11u, 19u, 25u, 31u, ~0u})
    for (uint32_t const index : {0u, 1u, ~0u})
      EXPECT_FALSE(map->Find({NodeId{node}, index}).has_value()) << node << " " << index;
  EXPECT_FALSE(map->Find({NodeId{10}, 1}).has_value());
  EXPECT_FALSE(map->Find({NodeId{20}, 3}).has_value());
  EXPECT_FALSE(map->Find({NodeId{20}, ~0u}).has_value());
}

TEST(SampleMap, TooManySamplesForTheirNumbersAreNoMap) {
  EXPECT_EQ(SampleMap::Make({File(2, kExtent * ((uint64_t{1} << 32) - 1))}, kOptions), nullptr);
}

TEST(SampleMap, RandomFilesAreFoundBlockByBlockAndNoSampleTwice) {
  uint64_t const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::vector<SampleMap::File> files;
  uint64_t bytes = 0;
  for (uint32_t node = 2; node < 2002; ++node) {
    if (random() % 3 == 0) continue;  // a folder, or an old version
    files.push_back(File(node, random() % 10 == 0 ? random() % 9000 : random() % 900));
    bytes += files.back().size_bytes;
  }
  std::shuffle(files.begin(), files.end(), random);
  auto const map = SampleMap::Make(files, kOptions);
  ASSERT_NE(map, nullptr);
  EXPECT_EQ(map->shape().total_bytes(), bytes);
  std::set<uint32_t> seen;
  for (auto const& file : files) {
    uint64_t left = file.size_bytes;
    for (uint32_t i = 0; left > 0; ++i) {
      auto const sample = map->Find({file.node, i});
      ASSERT_TRUE(sample.has_value());
      ASSERT_EQ(map->KeyOf(*sample), (BlockKey{file.node, i}));
      ASSERT_EQ(map->shape().SizeOf(*sample), std::min(left, kExtent));
      ASSERT_TRUE(seen.insert(sample->value).second);
      left -= std::min(left, kExtent);
    }
  }
  EXPECT_EQ(seen.size(), map->shape().sample_count());
}

}  // namespace
}  // namespace stokefs::cache
