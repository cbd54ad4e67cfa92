// Where a warm-up brings samples to: the disk tier, or memory where there is none.
#pragma once

#include <cstdint>

#include "cache/ids.h"
#include "cache/memory_tier.h"
#include "cache/steered_disk.h"

namespace stokefs::cache {

// Thread-safe.
class WarmupPlace {
 public:
  virtual ~WarmupPlace() = default;
  virtual bool Holds(BlockKey key) const = 0;
  // False while it cannot say yet what it holds.
  virtual bool IsReady() const { return true; }
  // About how many bytes it takes before something else would have to go, those under way to it not
  // counted.
  virtual uint64_t RoomBytes() const = 0;
  // Whether a fetch for which memory has no room says that the place is full.
  virtual bool IsMemory() const { return false; }
  // Blocks until what was fetched is kept, or was given up.
  virtual void Flush() {}
};

class DiskPlace final : public WarmupPlace {
 public:
  // kAny: what is pinned makes room for itself.
  enum class Room : uint8_t { kFree, kAny };
  DiskPlace(SteeredDisk& disk, Room room) : disk_(disk), room_(room) {}

  bool Holds(BlockKey key) const override { return disk_.Holds(key); }
  bool IsReady() const override { return !disk_.Usage().loading; }
  uint64_t RoomBytes() const override;
  void Flush() override { disk_.Flush(); }

 private:
  SteeredDisk& disk_;
  const Room room_;
};

class MemoryPlace final : public WarmupPlace {
 public:
  explicit MemoryPlace(MemoryTier& memory) : memory_(memory) {}

  bool Holds(BlockKey key) const override { return memory_.Peek(key).has_value(); }
  bool IsMemory() const override { return true; }
  uint64_t RoomBytes() const override;

 private:
  MemoryTier& memory_;
};

}  // namespace stokefs::cache
