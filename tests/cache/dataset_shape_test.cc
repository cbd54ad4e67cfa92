#include "cache/dataset_shape.h"

#include <gtest/gtest.h>

#include <random>

#include "cache/sample_lists.h"

namespace stokefs::cache {
namespace {

TEST(DatasetShape, EvenChunksCoverAllSamplesAndTheLastTakesTheRest) {
  auto const shape = DatasetShape::Even({.sample_count = 10, .chunk_samples = 4});
  EXPECT_EQ(shape.sample_count(), 10u);
  EXPECT_EQ(shape.chunk_count(), 3u);
  EXPECT_EQ(shape.CountOf({2}), 2u);
  EXPECT_EQ(shape.total_bytes(), 10u);
}

TEST(DatasetShape, EverySampleIsFoundInTheChunkThatHoldsIt) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<uint32_t> chunk_sizes(500);
  for (uint32_t& size : chunk_sizes) size = 1 + random() % 200;
  DatasetShape const shape(chunk_sizes);
  uint32_t sample = 0;
  for (uint32_t chunk = 0; chunk < chunk_sizes.size(); ++chunk)
    for (uint32_t i = 0; i < chunk_sizes[chunk]; ++i, ++sample)
      ASSERT_EQ(shape.ChunkOf({sample}).value, chunk);
  EXPECT_EQ(sample, shape.sample_count());
}

TEST(DatasetShape, EmptySamplesCountAsOneByte) {
  DatasetShape const shape(std::vector<uint32_t>{3}, {0, 5, 7});
  EXPECT_EQ(shape.SizeOf({0}), 1u);
  EXPECT_EQ(shape.total_bytes(), 13u);
}

TEST(DatasetShape, ADatasetWithoutSamplesHasNoChunk) {
  auto const shape = DatasetShape::Even({.sample_count = 0, .chunk_samples = 4});
  EXPECT_EQ(shape.chunk_count(), 0u);
  EXPECT_EQ(shape.sample_count(), 0u);
}

TEST(SampleLists, KeepTheirOrderWhenSamplesMoveBetweenThem) {
  SampleLists lists({.sample_count = 5, .list_count = 2});
  for (uint32_t i : {3, 1, 4}) lists.PushBack(0, {i});
  lists.Unlink({1});
  lists.PushBack(1, {1});
  EXPECT_EQ(lists.FrontOf(0).value, 3u);
  EXPECT_EQ(lists.After({3}).value, 4u);
  EXPECT_TRUE(lists.IsEnd(lists.After({4})));
  EXPECT_EQ(lists.FrontOf(1).value, 1u);
  lists.Unlink({1});
  EXPECT_TRUE(lists.IsEmpty(1));
  EXPECT_FALSE(lists.IsEmpty(0));
}

}  // namespace
}  // namespace stokefs::cache
