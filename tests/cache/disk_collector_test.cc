#include "cache/disk_collector.h"

#include <gtest/gtest.h>

#include <string>

namespace stokefs::cache {
namespace {

using Added = DiskCollector::Added;

ChunkEntry Entry(uint64_t sample, uint64_t version, size_t size_bytes) {
  return {.sample = {.high = sample, .low = sample},
          .size_bytes = static_cast<uint32_t>(size_bytes),
          .tag = version};
}

BlockName BlockOf(const ChunkEntry& entry) {
  return {.name = NameOf(entry.sample, entry.extent), .tag = entry.tag};
}

class DiskCollectorTest : public ::testing::Test {
 protected:
  Added Add(uint64_t sample, uint64_t version, size_t size_bytes) {
    std::vector<std::byte> const bytes(size_bytes, std::byte(sample + version));
    return collector_.Add(Entry(sample, version, size_bytes), bytes, now_);
  }
  bool ReadsRight(uint64_t sample, uint64_t version, size_t size_bytes) {
    std::vector<std::byte> bytes(size_bytes);
    return collector_.Read(BlockOf(Entry(sample, version, size_bytes)), bytes) &&
           bytes == std::vector<std::byte>(size_bytes, std::byte(sample + version));
  }

  base::TimePoint now_{std::chrono::seconds(100)};
  DiskCollector collector_{{.bundle_bytes = 1000, .bundle_blocks = 4, .bundles_max = 3}};
};

TEST_F(DiskCollectorTest, ABundleIsSealedWhenItsBytesAreFull) {
  Add(1, 0, 600);
  EXPECT_EQ(collector_.SealedCount(), 0u);
  Add(2, 0, 600);
  EXPECT_EQ(collector_.SealedCount(), 1u);
  auto const bundle = collector_.TakeSealed();
  ASSERT_EQ(bundle->entries.size(), 1u);
  EXPECT_EQ(bundle->BytesOf(0).size(), 600u);
}

TEST_F(DiskCollectorTest, ABundleIsSealedWhenItHasEnoughBlocks) {
  for (uint64_t i = 0; i < 5; ++i) Add(i, 0, 10);
  EXPECT_EQ(collector_.SealedCount(), 1u);
  EXPECT_EQ(collector_.TakeSealed()->entries.size(), 4u);
}

TEST_F(DiskCollectorTest, ABlockCanBeReadUntilItsBundleIsFinished) {
  Add(1, 7, 100);
  EXPECT_TRUE(ReadsRight(1, 7, 100));
  collector_.Seal(now_);
  EXPECT_TRUE(ReadsRight(1, 7, 100));
  auto bundle = collector_.TakeSealed();
  EXPECT_TRUE(ReadsRight(1, 7, 100));
  collector_.Finish(std::move(bundle));
  EXPECT_FALSE(ReadsRight(1, 7, 100));
  EXPECT_TRUE(collector_.IsEmpty());
  EXPECT_EQ(collector_.PendingBytes(), 0u);
}

TEST_F(DiskCollectorTest, AnotherVersionIsNotRead) {
  Add(1, 7, 100);
  EXPECT_FALSE(ReadsRight(1, 8, 100));
}

TEST_F(DiskCollectorTest, TwoVersionsOfABlockNeverShareABundle) {
  Add(1, 7, 100);
  EXPECT_EQ(Add(1, 7, 100), Added::kKnown);
  EXPECT_EQ(Add(1, 8, 100), Added::kAdded);
  EXPECT_EQ(collector_.SealedCount(), 1u);
  EXPECT_TRUE(ReadsRight(1, 8, 100));
  collector_.Finish(collector_.TakeSealed());  // the older one's end is not the newer one's
  EXPECT_TRUE(ReadsRight(1, 8, 100));
}

TEST_F(DiskCollectorTest, WithoutABufferItIsFull) {
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(Add(i, 0, 1000), Added::kAdded);
  EXPECT_EQ(Add(9, 0, 1000), Added::kFull);
  collector_.Finish(collector_.TakeSealed());
  EXPECT_EQ(Add(9, 0, 1000), Added::kAdded);
}

TEST_F(DiskCollectorTest, SaysInTimeThatOneBundleIsLeft) {
  Add(1, 0, 1000);
  EXPECT_FALSE(collector_.IsNearlyFull());
  Add(2, 0, 1000);
  EXPECT_TRUE(collector_.IsNearlyFull());
  collector_.Finish(collector_.TakeSealed());
  EXPECT_FALSE(collector_.IsNearlyFull());
}

TEST_F(DiskCollectorTest, ALargerBlockMakesABundleOfItsOwn) {
  Add(1, 0, 10);
  EXPECT_EQ(Add(2, 0, 2500), Added::kAdded);
  EXPECT_EQ(collector_.SealedCount(), 1u);
  EXPECT_TRUE(ReadsRight(2, 0, 2500));
}

TEST_F(DiskCollectorTest, LargerBlocksTakeNoMoreThanTheBundlesWould) {
  EXPECT_EQ(Add(1, 0, 2500), Added::kAdded);
  EXPECT_EQ(Add(2, 0, 2500), Added::kFull);
  ASSERT_EQ(collector_.SealedCount(), 1u);  // at once, or the next one would wait for its time
  collector_.Finish(collector_.TakeSealed());
  EXPECT_EQ(Add(2, 0, 99000), Added::kAdded);
}

TEST_F(DiskCollectorTest, ASmallBlockInTheWayOfALargeOneIsSealed) {
  EXPECT_EQ(Add(1, 0, 10), Added::kAdded);
  EXPECT_EQ(Add(2, 0, 2995), Added::kFull);
  ASSERT_EQ(collector_.SealedCount(), 1u);
  EXPECT_EQ(Add(2, 0, 2995), Added::kFull);  // asked again, it makes no further bundles
  EXPECT_EQ(collector_.SealedCount(), 1u);
  collector_.Finish(collector_.TakeSealed());
  EXPECT_EQ(Add(2, 0, 2995), Added::kAdded);
}

TEST_F(DiskCollectorTest, NeighbouringExtentsGoToDifferentBundles) {
  DiskCollector collector({.bundle_bytes = 1000, .bundles_max = 8, .lanes = 2});
  std::vector<std::byte> const bytes(400);
  for (uint32_t i = 0; i < 4; ++i) {
    ChunkEntry entry = Entry(1, 0, 400);
    entry.extent = i;
    EXPECT_EQ(collector.Add(entry, bytes, now_), Added::kAdded);
  }
  collector.Seal(now_);
  ASSERT_EQ(collector.SealedCount(), 2u);
  for (uint32_t lane = 0; lane < 2; ++lane) {
    auto const bundle = collector.TakeSealed();
    ASSERT_EQ(bundle->entries.size(), 2u);
    EXPECT_EQ(bundle->entries[0].extent, lane);
    EXPECT_EQ(bundle->entries[1].extent, lane + 2);
  }
}

TEST_F(DiskCollectorTest, OnlyWhatIsOldEnoughIsSealedByTime) {
  Add(1, 0, 10);
  collector_.Seal(now_ - std::chrono::milliseconds(1));
  EXPECT_EQ(collector_.SealedCount(), 0u);
  collector_.Seal(now_);
  EXPECT_EQ(collector_.SealedCount(), 1u);
}

TEST_F(DiskCollectorTest, ABundleGivenBackIsTakenNext) {
  for (uint64_t i = 0; i < 3; ++i) Add(i, 0, 1000);
  auto bundle = collector_.TakeSealed();
  const DiskBundle* const first = bundle.get();
  collector_.GiveBack(std::move(bundle));
  EXPECT_EQ(collector_.TakeSealed().get(), first);
}

}  // namespace
}  // namespace stokefs::cache
