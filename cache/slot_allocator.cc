#include "cache/slot_allocator.h"

#include <bit>
#include <limits>

#include "base/check.h"

namespace stokefs::cache {

SlotAllocator::SlotAllocator(uint64_t arena_bytes) : arena_granules_(arena_bytes / kGranuleBytes) {
  STOKEFS_CHECK(arena_granules_ > 0 && std::bit_width(arena_granules_) <= 60);
  blocks_.PushBack({.offset_and_free = arena_granules_, .before = 1, .after = 1});
  blocks_.PushBack({});  // all of the arena
  PushFree(1);
}

// Classes below 32 granules hold one size each; above, the five bits after the leading one.
SlotAllocator::SizeClass SlotAllocator::ClassOf(uint64_t granules) {
  if (granules < kSecondCount) return {.first = 0, .second = static_cast<unsigned>(granules)};
  auto const shift = static_cast<unsigned>(std::bit_width(granules)) - 1 - kSecondBits;
  return {.first = shift + 1, .second = static_cast<unsigned>(granules >> shift) - kSecondCount};
}

uint32_t SlotAllocator::FindFree(uint64_t granules) const {
  SizeClass const own = ClassOf(granules);
  uint32_t best = 0;
  uint64_t best_granules = std::numeric_limits<uint64_t>::max();
  uint32_t block = heads_[own.first * kSecondCount + own.second];
  for (unsigned i = 0; block != 0 && i < kOwnClassCountMax; ++i) {
    uint64_t const size = SizeGranules(block);
    if (size >= granules && size < best_granules) {
      best = block;
      best_granules = size;
    }
    block = blocks_[block].owner_or_next_free;
  }
  if (best != 0) return best;

  // Any block of a larger class fits.
  uint32_t second = own.second + 1 < kSecondCount
                        ? second_bitmaps_[own.first] & ~uint32_t{0} << (own.second + 1)
                        : 0;
  unsigned first = own.first;
  if (second == 0) {
    uint64_t const larger = first_bitmap_ & ~uint64_t{0} << (own.first + 1);
    if (larger == 0) return 0;
    first = static_cast<unsigned>(std::countr_zero(larger));
    second = second_bitmaps_[first];
  }
  return heads_[first * kSecondCount + static_cast<unsigned>(std::countr_zero(second))];
}

std::optional<SlotAllocator::BlockId> SlotAllocator::Allocate(uint64_t size_bytes,
                                                              SlotIndex owner) {
  STOKEFS_CHECK(size_bytes > 0);
  if (size_bytes > arena_bytes()) return std::nullopt;
  uint64_t const granules = RoundUp(size_bytes) / kGranuleBytes;
  uint32_t const block = FindFree(granules);
  if (block == 0) return std::nullopt;

  uint64_t const rest_granules = SizeGranules(block) - granules;
  UnlinkFree(block);
  if (rest_granules > 0) {
    uint32_t const rest = NewBlock();
    uint32_t const after = blocks_[block].after;
    blocks_[rest] = {
        .offset_and_free = OffsetGranules(block) + granules, .before = block, .after = after};
    blocks_[block].after = rest;
    blocks_[after].before = rest;
    PushFree(rest);
  }
  blocks_[block].owner_or_next_free = owner.value;
  used_granules_ += granules;
  ++used_count_;
  return BlockId{block};
}

bool SlotAllocator::Fits(uint64_t size_bytes) const {
  return size_bytes <= arena_bytes() && FindFree(RoundUp(size_bytes) / kGranuleBytes) != 0;
}

// `block` and its neighbour behind it change places. Neither is in a list of free ones.
void SlotAllocator::SwapWithAfter(uint32_t block) {
  uint32_t const moved = blocks_[block].after;
  uint64_t const offset = OffsetGranules(block);
  uint64_t const moved_size = SizeGranules(moved);
  uint32_t const before = blocks_[block].before, after = blocks_[moved].after;
  blocks_[before].after = moved;
  blocks_[after].before = block;
  blocks_[moved].before = before;
  blocks_[moved].after = block;
  blocks_[moved].offset_and_free = offset;
  blocks_[block].before = moved;
  blocks_[block].after = after;
  blocks_[block].offset_and_free = offset + moved_size;
}

SlotAllocator::BlockId SlotAllocator::SlideDown(BlockId free_block) {
  uint32_t const hole = free_block.value;
  STOKEFS_CHECK(hole != 0 && IsFree(free_block));
  STOKEFS_CHECK(blocks_[hole].after != 0 && !IsFree({blocks_[hole].after}));
  UnlinkFree(hole);  // while its size is what its class says
  SwapWithAfter(hole);
  uint32_t const after = blocks_[hole].after;
  if (IsFree({after})) {
    UnlinkFree(after);
    Forget(after);
  }
  PushFree(hole);
  return {hole};
}

SlotAllocator::BlockId SlotAllocator::SlideUp(BlockId free_block) {
  uint32_t hole = free_block.value;
  uint32_t const block = blocks_[hole].before;
  STOKEFS_CHECK(hole != 0 && IsFree(free_block) && block != 0 && !IsFree({block}));
  UnlinkFree(hole);
  SwapWithAfter(block);
  uint32_t const before = blocks_[hole].before;
  if (IsFree({before})) {
    UnlinkFree(before);
    Forget(hole);
    hole = before;
  }
  PushFree(hole);
  return {hole};
}

SlotAllocator::BlockId SlotAllocator::LargestFree() const {
  if (first_bitmap_ == 0) return {};
  auto const first = static_cast<unsigned>(std::bit_width(first_bitmap_) - 1);
  auto const second = static_cast<unsigned>(std::bit_width(second_bitmaps_[first]) - 1);
  return {heads_[first * kSecondCount + second]};
}

void SlotAllocator::Free(BlockId id) {
  uint32_t block = id.value;
  STOKEFS_CHECK(block != 0 && block < blocks_.size() && !IsFree(id));
  used_granules_ -= SizeGranules(block);
  --used_count_;
  uint32_t const before = blocks_[block].before;
  if (IsFree({before})) {
    UnlinkFree(before);
    Forget(block);
    block = before;
  }
  uint32_t const after = blocks_[block].after;
  if (IsFree({after})) {
    UnlinkFree(after);
    Forget(after);
  }
  PushFree(block);
}

void SlotAllocator::PushFree(uint32_t block) {
  SizeClass const c = ClassOf(SizeGranules(block));
  uint32_t& head = Head(c);
  blocks_[block].offset_and_free |= kFreeBit;
  blocks_[block].previous_free = 0;
  blocks_[block].owner_or_next_free = head;
  if (head != 0) blocks_[head].previous_free = block;
  head = block;
  second_bitmaps_[c.first] |= uint32_t{1} << c.second;
  first_bitmap_ |= uint64_t{1} << c.first;
  ++free_count_;
}

void SlotAllocator::UnlinkFree(uint32_t block) {
  Block& b = blocks_[block];
  uint32_t const next = b.owner_or_next_free;
  if (next != 0) blocks_[next].previous_free = b.previous_free;
  if (b.previous_free != 0) {
    blocks_[b.previous_free].owner_or_next_free = next;
  } else {
    SizeClass const c = ClassOf(SizeGranules(block));
    Head(c) = next;
    if (next == 0) {
      second_bitmaps_[c.first] &= ~(uint32_t{1} << c.second);
      if (second_bitmaps_[c.first] == 0) first_bitmap_ &= ~(uint64_t{1} << c.first);
    }
  }
  b.offset_and_free &= ~kFreeBit;
  --free_count_;
}

uint32_t SlotAllocator::NewBlock() {
  if (unused_ != 0) {
    uint32_t const block = unused_;
    unused_ = blocks_[block].owner_or_next_free;
    return block;
  }
  STOKEFS_CHECK(blocks_.size() < std::numeric_limits<uint32_t>::max());
  blocks_.PushBack({});
  return static_cast<uint32_t>(blocks_.size() - 1);
}

void SlotAllocator::Forget(uint32_t block) {
  Block& b = blocks_[block];
  blocks_[b.before].after = b.after;
  blocks_[b.after].before = b.before;
  b = {.owner_or_next_free = unused_};
  unused_ = block;
}

void SlotAllocator::CheckConsistency() const {
  uint64_t used_granules = 0, used_count = 0, free_count = 0, offset = 0;
  bool before_free = false;
  for (uint32_t block = blocks_[0].after; block != 0; block = blocks_[block].after) {
    STOKEFS_CHECK(OffsetGranules(block) == offset);
    STOKEFS_CHECK(SizeGranules(block) > 0);
    STOKEFS_CHECK(blocks_[blocks_[block].after].before == block);
    bool const is_free = IsFree({block});
    STOKEFS_CHECK(!(is_free && before_free));
    before_free = is_free;
    offset += SizeGranules(block);
    used_granules += is_free ? 0 : SizeGranules(block);
    ++(is_free ? free_count : used_count);
  }
  STOKEFS_CHECK(offset == arena_granules_ && OffsetGranules(0) == arena_granules_);
  STOKEFS_CHECK(used_granules == used_granules_ && used_count == used_count_);

  uint64_t listed_count = 0;
  for (unsigned first = 0; first < kFirstCount; ++first) {
    STOKEFS_CHECK((second_bitmaps_[first] != 0) == ((first_bitmap_ >> first & 1) != 0));
    for (unsigned second = 0; second < kSecondCount; ++second) {
      uint32_t const head = heads_[first * kSecondCount + second];
      STOKEFS_CHECK((head != 0) == ((second_bitmaps_[first] >> second & 1) != 0));
      uint32_t previous = 0;
      for (uint32_t block = head; block != 0; block = blocks_[block].owner_or_next_free) {
        SizeClass const c = ClassOf(SizeGranules(block));
        STOKEFS_CHECK(IsFree({block}) && c.first == first && c.second == second);
        STOKEFS_CHECK(blocks_[block].previous_free == previous);
        previous = block;
        ++listed_count;
      }
    }
  }
  STOKEFS_CHECK(listed_count == free_count && free_count == free_count_);
}

}  // namespace stokefs::cache
