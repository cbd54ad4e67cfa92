// Divides the arena into blocks: which offsets are taken, which are free. Pure code over offsets:
// it never touches the arena, so pages that hold nothing stay unbacked.
//
// TLSF (Masmano, Ripoll, Crespo, Real: "TLSF: a New Dynamic Memory Allocator for Real-Time
// Systems", ECRTS 2004): free blocks are kept in lists by size class, 32 classes to each power of
// two, and two bitmaps find the smallest class that is not empty. A block is split to the exact
// size and coalesces with its free neighbours at once, so at any time no two free blocks touch.
// Allocate and Free are O(1). Different from the paper: block headers are out of line (24 bytes a
// block, a size is the distance to the next block), and the request's own class is looked through
// for a few blocks before the larger ones, because a full cache has few free blocks to pick from.
//
// Not thread-safe. Sizes and offsets are multiples of kGranuleBytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/segmented_array.h"
#include "cache/ids.h"
#include "cache/replacement_policy.h"

namespace stokefs::cache {

class SlotAllocator {
 public:
  static constexpr uint64_t kGranuleBytes = 16;
  static constexpr uint64_t RoundUp(uint64_t size_bytes) {
    return (size_bytes + kGranuleBytes - 1) / kGranuleBytes * kGranuleBytes;
  }

  struct BlockId {
    uint32_t value = 0;  // 0: none
    auto operator<=>(const BlockId&) const = default;
  };

  explicit SlotAllocator(uint64_t arena_bytes);  // rounded down to granules; at least one granule

  // A block of RoundUp(size_bytes) for `owner` to remember; none when no free block is that large.
  std::optional<BlockId> Allocate(uint64_t size_bytes, SlotIndex owner);
  void Free(BlockId block);
  // True when Allocate(size_bytes) would succeed.
  bool Fits(uint64_t size_bytes) const;

  // Swaps a free block with the taken one behind it, whose bytes the caller moves down by the free
  // one's size. Returns the free block, which has taken in what is free behind it.
  BlockId SlideDown(BlockId free_block);
  // The same with the taken block before it, whose bytes the caller moves up.
  BlockId SlideUp(BlockId free_block);
  // A free block of the largest class that has any; none when all is taken.
  BlockId LargestFree() const;

  uint64_t OffsetOf(BlockId block) const { return OffsetGranules(block.value) * kGranuleBytes; }
  uint64_t SizeOf(BlockId block) const { return SizeGranules(block.value) * kGranuleBytes; }
  bool IsFree(BlockId block) const {
    return (blocks_[block.value].offset_and_free & kFreeBit) != 0;
  }
  SlotIndex OwnerOf(BlockId block) const { return {blocks_[block.value].owner_or_next_free}; }
  // Neighbours in the arena, free or taken; none at its ends.
  BlockId Before(BlockId block) const { return {blocks_[block.value].before}; }
  BlockId After(BlockId block) const { return {blocks_[block.value].after}; }

  uint64_t arena_bytes() const { return arena_granules_ * kGranuleBytes; }
  uint64_t used_bytes() const { return used_granules_ * kGranuleBytes; }
  uint64_t used_count() const { return used_count_; }
  uint64_t free_count() const { return free_count_; }
  size_t FootprintBytes() const { return blocks_.FootprintBytes(); }

  // Walks everything and CHECKs it: blocks tile the arena, no two free ones touch, each free one is
  // in the list of its class, bitmaps and counts agree. O(blocks), for tests.
  void CheckConsistency() const;

 private:
  // Block 0 is the end of the arena: size 0, never free, before the first and after the last.
  struct Block {
    uint64_t offset_and_free = 0;  // in granules; the top bit says free
    uint32_t before = 0, after = 0;
    uint32_t owner_or_next_free = 0;  // taken: the owner; free or unused: next of its list
    uint32_t previous_free = 0;
  };
  static_assert(sizeof(Block) == 24);

  static constexpr uint64_t kFreeBit = uint64_t{1} << 63;
  static constexpr unsigned kSecondBits = 5;  // 32 classes to a power of two: at most 1/32 apart
  static constexpr unsigned kSecondCount = 1u << kSecondBits;
  static constexpr unsigned kFirstCount = 56;  // 2^60 granules
  // Blocks of the request's own class looked at before going to a larger class.
  static constexpr unsigned kOwnClassCountMax = 16;

  struct SizeClass {
    unsigned first = 0, second = 0;
  };
  static SizeClass ClassOf(uint64_t granules);

  uint64_t OffsetGranules(uint32_t block) const {
    return blocks_[block].offset_and_free & ~kFreeBit;
  }
  uint64_t SizeGranules(uint32_t block) const {
    return OffsetGranules(blocks_[block].after) - OffsetGranules(block);
  }
  uint32_t& Head(SizeClass c) { return heads_[size_t{c.first} * kSecondCount + c.second]; }
  uint32_t FindFree(uint64_t granules) const;
  void PushFree(uint32_t block);
  void UnlinkFree(uint32_t block);
  uint32_t NewBlock();
  void SwapWithAfter(uint32_t block);
  void Forget(uint32_t block);  // removes `block` from the order of the arena

  const uint64_t arena_granules_;
  base::SegmentedArray<Block> blocks_;
  uint32_t unused_ = 0;  // ids to use again, by owner_or_next_free
  std::array<uint32_t, size_t{kFirstCount} * kSecondCount> heads_{};
  std::array<uint32_t, kFirstCount> second_bitmaps_{};
  uint64_t first_bitmap_ = 0;
  uint64_t used_granules_ = 0, used_count_ = 0, free_count_ = 0;
};

}  // namespace stokefs::cache
