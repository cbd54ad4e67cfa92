#include "cache/evictable_stretch.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

namespace stokefs::cache {
namespace {

using BlockId = SlotAllocator::BlockId;

class HoldBack final : public SlotFilter {
 public:
  explicit HoldBack(std::set<uint32_t> held) : held_(std::move(held)) {}
  bool MayGo(SlotIndex slot) const override { return !held_.contains(slot.value); }

 private:
  const std::set<uint32_t> held_;
};

TEST(EvictableStretch, TakesFreeNeighboursBeforeTakenOnes) {
  SlotAllocator allocator(5 * 64);
  std::vector<BlockId> blocks;
  for (uint32_t owner = 0; owner < 5; ++owner) blocks.push_back(*allocator.Allocate(64, {owner}));
  allocator.Free(blocks[3]);
  auto const stretch = FindEvictableStretch(allocator, blocks[2], 128, HoldBack({}));
  ASSERT_TRUE(stretch.Found());
  EXPECT_EQ(stretch.first, blocks[2]);
  EXPECT_EQ(allocator.After(stretch.last), blocks[4]);
  EXPECT_EQ(stretch.evicted_bytes, 64u);
}

TEST(EvictableStretch, DoesNotPassWhatIsHeldBack) {
  SlotAllocator allocator(5 * 64);
  std::vector<BlockId> blocks;
  for (uint32_t owner = 0; owner < 5; ++owner) blocks.push_back(*allocator.Allocate(64, {owner}));
  EXPECT_TRUE(FindEvictableStretch(allocator, blocks[2], 192, HoldBack({0, 4})).Found());
  EXPECT_FALSE(FindEvictableStretch(allocator, blocks[2], 256, HoldBack({1})).Found());
  EXPECT_FALSE(FindEvictableStretch(allocator, blocks[2], 128, HoldBack({1, 3})).Found());
}

TEST(EvictableStretch, IsTheCheapestOfAllThatContainTheBlock) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    SlotAllocator allocator(4096);
    std::vector<BlockId> taken;
    std::set<uint32_t> held;
    while (auto const block = allocator.Allocate(16 + random() % 300, {uint32_t(taken.size())}))
      taken.push_back(*block);
    size_t const middle = random() % taken.size();
    for (size_t i = 0; i < taken.size(); ++i) {
      if (i == middle) continue;
      if (random() % 4 == 0)
        held.insert(static_cast<uint32_t>(i));
      else if (random() % 3 == 0)
        allocator.Free(taken[i]);
    }
    BlockId const around = taken[middle];
    uint64_t const size = 16 + random() % 1000;
    HoldBack const filter(held);

    bool found = false;
    uint64_t least = 0;
    BlockId first = around;
    auto const passable = [&](BlockId b) {
      return b != BlockId{} && (allocator.IsFree(b) || filter.MayGo(allocator.OwnerOf(b)));
    };
    for (;; first = allocator.Before(first)) {  // all stretches from `first`
      uint64_t sum = 0, evicted = 0;
      bool has_around = false;
      for (BlockId b = first; passable(b); b = allocator.After(b)) {
        sum += allocator.SizeOf(b);
        evicted += allocator.IsFree(b) ? 0 : allocator.SizeOf(b);
        has_around = has_around || b == around;
        if (!has_around || sum < size) continue;
        least = found ? std::min(least, evicted) : evicted;
        found = true;
        break;
      }
      if (!passable(allocator.Before(first))) break;
    }
    auto const stretch = FindEvictableStretch(allocator, around, size, filter);
    ASSERT_EQ(stretch.Found(), found);
    if (found) {
      ASSERT_EQ(stretch.evicted_bytes, least);
    }
  }
}

}  // namespace
}  // namespace stokefs::cache
