#include "cache/shuffle_detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "tests/support/fake_dataset.h"

namespace stokefs::cache {
namespace {

constexpr uint32_t kCount = 2000;

class ShuffleDetectorTest : public ::testing::Test {
 protected:
  ShuffleDetectorTest() { dataset_.Add("train", kCount, 1000); }

  static std::vector<uint32_t> InOrder(uint32_t from, uint32_t count) {
    std::vector<uint32_t> nodes(count);
    std::iota(nodes.begin(), nodes.end(), from);
    return nodes;
  }
  static std::vector<uint32_t> Shuffled(uint32_t from, uint32_t count) {
    std::vector<uint32_t> nodes = InOrder(from, count);
    std::shuffle(nodes.begin(), nodes.end(), std::mt19937(7));
    return nodes;
  }
  // How many of the reads it takes until they are seen to be shuffled; 0: never.
  size_t SeenAfter(const std::vector<uint32_t>& nodes) {
    ShuffleDetector detector(dataset_);
    for (size_t i = 0; i < nodes.size(); ++i)
      if (detector.OnRead({{nodes[i]}, 0})) return i + 1;
    return 0;
  }

  testing::FakeDataset dataset_;
};

TEST_F(ShuffleDetectorTest, AShuffledEpochIsSeenWithinSixtyReads) {
  size_t const reads = SeenAfter(Shuffled(1, kCount));
  EXPECT_GE(reads, ShuffleDetector::kScoreMin);
  EXPECT_LE(reads, 60u);
}

TEST_F(ShuffleDetectorTest, AShuffledQuarterIsSeenToo) {
  EXPECT_GT(SeenAfter(Shuffled(500, kCount / 4)), 0u);
}

TEST_F(ShuffleDetectorTest, ACopyIsNone) { EXPECT_EQ(SeenAfter(InOrder(1, kCount)), 0u); }

TEST_F(ShuffleDetectorTest, ACopyWithGapsThatTheKernelAnsweredIsNone) {
  std::vector<uint32_t> nodes;
  for (uint32_t const node : InOrder(1, kCount))
    if (node * 2654435761u % 100 < 30) nodes.push_back(node);
  EXPECT_EQ(SeenAfter(nodes), 0u);
}

TEST_F(ShuffleDetectorTest, WorkersThatTakeBatchesInTurnAreNone) {
  std::vector<uint32_t> nodes;
  for (uint32_t batch = 0; batch + 4 <= kCount / 32; batch += 4)
    for (uint32_t i = 0; i < 32; ++i)
      for (uint32_t worker = 0; worker < 4; ++worker)
        nodes.push_back(1 + (batch + worker) * 32 + i);
  EXPECT_EQ(SeenAfter(nodes), 0u);
}

TEST_F(ShuffleDetectorTest, ASparseCopyIsNone) {
  std::vector<uint32_t> nodes;
  for (uint32_t const node : InOrder(1, kCount))
    if (node * 2654435761u % 100 < 10) nodes.push_back(node);
  EXPECT_EQ(SeenAfter(nodes), 0u);
}

TEST_F(ShuffleDetectorTest, FourCopiesAtDifferentPlacesAreNone) {
  std::vector<uint32_t> nodes;
  for (uint32_t i = 0; i < kCount / 4; ++i)
    for (uint32_t copy = 0; copy < 4; ++copy) {
      uint32_t const node = 1 + (copy * 450 + i) % kCount;
      if (node * 2654435761u % 100 < 60) nodes.push_back(node);
    }
  EXPECT_EQ(SeenAfter(nodes), 0u);
}

TEST_F(ShuffleDetectorTest, ARepeatedFileIsNone) {
  EXPECT_EQ(SeenAfter(std::vector<uint32_t>(1000, 5)), 0u);
}

TEST_F(ShuffleDetectorTest, AStreamOfExtentsIsNone) {
  ShuffleDetector detector(dataset_);
  for (uint32_t extent = 0; extent < 1000; ++extent)
    ASSERT_FALSE(detector.OnRead({{1}, extent})) << extent;
}

TEST_F(ShuffleDetectorTest, TheEvidenceIsOfReadsThatCame) {
  ShuffleDetector detector(dataset_);
  std::vector<uint32_t> const nodes = Shuffled(1, kCount);
  size_t count = 0;
  while (!detector.OnRead({{nodes[count++]}, 0})) {
  }
  EXPECT_GE(detector.evidence().size(), ShuffleDetector::kScoreMin);
  for (BlockKey const key : detector.evidence())
    EXPECT_NE(
        std::find(nodes.begin(), nodes.begin() + static_cast<ptrdiff_t>(count), key.node.value),
        nodes.begin() + static_cast<ptrdiff_t>(count));
}

}  // namespace
}  // namespace stokefs::cache
