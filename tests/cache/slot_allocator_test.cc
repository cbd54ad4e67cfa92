#include "cache/slot_allocator.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace stokefs::cache {
namespace {

using BlockId = SlotAllocator::BlockId;

TEST(SlotAllocator, GivesTheWholeArenaAndNoByteMore) {
  SlotAllocator allocator(1000);  // 62 granules
  EXPECT_EQ(allocator.arena_bytes(), 992u);
  EXPECT_FALSE(allocator.Allocate(993, {0}).has_value());
  auto const all = allocator.Allocate(992, {0});
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(allocator.used_bytes(), 992u);
  EXPECT_FALSE(allocator.Allocate(1, {0}).has_value());
  allocator.Free(*all);
  EXPECT_TRUE(allocator.Fits(992));
  allocator.CheckConsistency();
}

TEST(SlotAllocator, RoundsAByteUpToAGranuleOnly) {
  SlotAllocator allocator(1 << 20);
  for (uint64_t size : {1, 16, 17, 500, 4096, 100'001}) {
    auto const block = allocator.Allocate(size, {7});
    ASSERT_TRUE(block.has_value());
    EXPECT_EQ(allocator.SizeOf(*block), (size + 15) / 16 * 16);
    EXPECT_EQ(allocator.OwnerOf(*block).value, 7u);
  }
  allocator.CheckConsistency();
}

TEST(SlotAllocator, FreedNeighboursBecomeOnePieceAtOnce) {
  SlotAllocator allocator(300);
  auto const a = allocator.Allocate(96, {0}), b = allocator.Allocate(96, {1}),
             c = allocator.Allocate(96, {2});
  ASSERT_TRUE(a && b && c);
  allocator.Free(*a);
  allocator.Free(*c);
  EXPECT_FALSE(allocator.Fits(112));
  allocator.Free(*b);
  EXPECT_TRUE(allocator.Fits(288));
  EXPECT_EQ(allocator.free_count(), 1u);
}

TEST(SlotAllocator, APieceThatSlidesTakesInTheNextOne) {
  SlotAllocator allocator(400);
  auto const a = allocator.Allocate(96, {0}), b = allocator.Allocate(48, {1}),
             c = allocator.Allocate(96, {2}), d = allocator.Allocate(160, {3});
  ASSERT_TRUE(a && b && c && d);
  allocator.Free(*a);
  allocator.Free(*c);
  EXPECT_FALSE(allocator.Fits(192));
  BlockId const hole = allocator.SlideDown(allocator.Before(*b));
  allocator.CheckConsistency();
  EXPECT_EQ(allocator.OffsetOf(*b), 0u);
  EXPECT_EQ(allocator.SizeOf(*b), 48u);
  EXPECT_EQ(allocator.OffsetOf(hole), 48u);
  EXPECT_EQ(allocator.SizeOf(hole), 192u);
  EXPECT_TRUE(allocator.Fits(192));
  allocator.SlideDown(hole);
  allocator.CheckConsistency();
  EXPECT_EQ(allocator.OffsetOf(*d), 48u);
}

// Moved up and down at random, blocks tile the arena, in their order, each as large as before.
TEST(SlotAllocator, SlidingMovesNothingButTheFreePieces) {
  std::mt19937 dice(3);
  SlotAllocator allocator(1 << 16);
  std::vector<BlockId> taken;
  std::map<uint32_t, uint64_t> sizes;
  for (uint32_t i = 0; i < 100; ++i) {
    taken.push_back(*allocator.Allocate(100 + dice() % 500, {i}));
    sizes[taken.back().value] = allocator.SizeOf(taken.back());
  }
  for (size_t i = 90; i > 0; i -= 10) {
    allocator.Free(taken[i]);
    taken.erase(taken.begin() + static_cast<ptrdiff_t>(i));
  }
  uint64_t const used_bytes = allocator.used_bytes();
  for (int i = 0; i < 2000; ++i) {
    BlockId const near = taken[dice() % taken.size()];
    BlockId const before = allocator.Before(near), after = allocator.After(near);
    if (before != BlockId{} && allocator.IsFree(before)) {
      allocator.SlideDown(before);
    } else if (after != BlockId{} && allocator.IsFree(after)) {
      allocator.SlideUp(after);
    }
    allocator.CheckConsistency();
  }
  EXPECT_EQ(allocator.used_bytes(), used_bytes);
  uint64_t offset = 0;
  for (BlockId const block : taken) {
    EXPECT_EQ(allocator.SizeOf(block), sizes[block.value]);
    EXPECT_GE(allocator.OffsetOf(block), offset);
    offset = allocator.OffsetOf(block) + allocator.SizeOf(block);
  }
}

TEST(SlotAllocator, AddressesArenasOfManyTerabytes) {
  constexpr uint64_t kArena = uint64_t{64} << 40;
  SlotAllocator allocator(kArena);
  auto const low = allocator.Allocate(kArena - 4096, {0});
  auto const high = allocator.Allocate(4096, {1});
  ASSERT_TRUE(low && high);
  EXPECT_EQ(allocator.OffsetOf(*high), kArena - 4096);
  allocator.Free(*low);
  allocator.Free(*high);
  EXPECT_TRUE(allocator.Fits(kArena));
}

TEST(SlotAllocator, FindsAFitInTheRequestsOwnSizeClass) {
  SlotAllocator allocator(1 << 20);
  // Classes at 100 KB are 2 KiB wide: a freed block a little larger than the request is its
  // class's.
  auto const hole = allocator.Allocate(100'000, {0});
  auto const wall = allocator.Allocate((1 << 20) - 100'000 - 16, {1});
  ASSERT_TRUE(hole && wall);
  allocator.Free(*hole);
  EXPECT_TRUE(allocator.Allocate(99'500, {2}).has_value());
}

uint64_t RandomSize(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return 1 + random() % 64;
    case 1:
      return 1 + random() % 2000;
    case 2:
      return 1 + random() % 200'000;
    default:
      return uint64_t{1} << (random() % 20);
  }
}

TEST(SlotAllocator, RandomOperationsNeverOverlapAndCoalesceBackToOneBlock) {
  uint64_t const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kArena = 4 << 20;
  SlotAllocator allocator(kArena);
  std::map<uint64_t, std::pair<BlockId, uint64_t>> model;  // offset -> block, rounded size
  uint64_t used = 0;
  for (int step = 0; step < 30'000; ++step) {
    if (random() % 5 < 3) {
      uint64_t const size = RandomSize(random), rounded = SlotAllocator::RoundUp(size);
      bool const fits = allocator.Fits(size);
      auto const block = allocator.Allocate(size, {static_cast<uint32_t>(step)});
      ASSERT_EQ(block.has_value(), fits);
      if (!block) continue;
      uint64_t const offset = allocator.OffsetOf(*block);
      ASSERT_EQ(offset % SlotAllocator::kGranuleBytes, 0u);
      ASSERT_EQ(allocator.SizeOf(*block), rounded);
      ASSERT_LE(offset + rounded, kArena);
      auto const after = model.lower_bound(offset);
      if (after != model.end()) {
        ASSERT_LE(offset + rounded, after->first);
      }
      if (after != model.begin()) {
        auto const before = std::prev(after);
        ASSERT_LE(before->first + before->second.second, offset);
      }
      model[offset] = {*block, rounded};
      used += rounded;
    } else if (!model.empty()) {
      auto at = model.lower_bound(random() % kArena);
      if (at == model.end()) at = model.begin();
      allocator.Free(at->second.first);
      used -= at->second.second;
      model.erase(at);
    }
    ASSERT_EQ(allocator.used_bytes(), used);
    ASSERT_EQ(allocator.used_count(), model.size());
    if (step % 500 == 0) allocator.CheckConsistency();
  }
  for (auto const& [offset, block] : model) allocator.Free(block.first);
  allocator.CheckConsistency();
  EXPECT_EQ(allocator.free_count(), 1u);
  EXPECT_EQ(allocator.used_bytes(), 0u);
  EXPECT_TRUE(allocator.Fits(kArena));
}

}  // namespace
}  // namespace stokefs::cache
