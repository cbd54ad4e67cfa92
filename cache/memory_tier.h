// The memory tier: one arena (a memfd), slots of many sizes in it, leases on their bytes.
//
// A slot holds one block. A lease keeps its bytes where they are and unchanged until it dies, also
// when the slot was evicted or replaced meanwhile; the bytes count against the budget until then.
// All calls are thread-safe. Lock: mu_, a leaf: nothing is called under it but the policy. A lease
// dies without a lock. Beside the arena a block costs 32 bytes of slot, 24 of allocator (and as
// many for each free piece), 4 of index and the policy's: with LRU 68 to 92.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "cache/ids.h"
#include "cache/replacement_policy.h"

namespace stokefs::cache {

class MemoryTier;

inline constexpr uint64_t kBlockBytesMax = ~uint32_t{0};

// Read access to the bytes of one slot. Move-only; dies anywhere. Must not outlive the tier.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  bool Valid() const { return tier_ != nullptr; }
  std::span<const std::byte> bytes() const { return bytes_; }
  uint64_t digest() const { return digest_; }
  uint64_t arena_offset() const;  // where bytes() starts in the arena's memfd

 private:
  friend class MemoryTier;
  Lease(MemoryTier* tier, SlotIndex slot, uint32_t* lease_word, std::span<const std::byte> bytes,
        uint64_t digest);

  MemoryTier* tier_ = nullptr;
  uint32_t* lease_word_ = nullptr;  // the slot's
  SlotIndex slot_;
  std::span<const std::byte> bytes_;
  uint64_t digest_ = 0;
};

// Room for one block that is being fetched; invisible to readers until published. Dropped
// unpublished it frees its room. Move-only. Must not outlive the tier.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation();

  bool Valid() const { return tier_ != nullptr; }
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  friend class MemoryTier;
  Reservation(MemoryTier* tier, SlotIndex slot, std::span<std::byte> bytes);

  MemoryTier* tier_ = nullptr;
  SlotIndex slot_;
  std::span<std::byte> bytes_;
};

// Where room for a block may come from.
enum class RoomRule : uint8_t {
  kMayEvict,
  kSpentRoom,  // only what is spent goes for it, where the policy knows what is; else as kMayEvict
  kFreeRoom,   // nothing goes for it
};

struct MemoryUsage {
  uint64_t budget_bytes = 0;
  uint64_t used_bytes = 0;      // slots and reservations, rounding included: never above the budget
  uint64_t payload_bytes = 0;   // bytes of published blocks
  uint64_t reserved_bytes = 0;  // of reservations
  uint64_t leased_bytes = 0;    // of slots under at least one lease
  uint64_t slot_count = 0;      // published blocks
  uint64_t evicted_count = 0;
  uint64_t overhead_bytes = 0;  // anonymous memory of slots, index and allocator
};

class MemoryTier {
 public:
  // `policy` outlives the tier and is called under its lock only. EINVAL for a budget below 1 MiB;
  // ENOMEM when the arena cannot be mapped.
  static base::Result<std::unique_ptr<MemoryTier>> Create(uint64_t budget_bytes,
                                                          ReplacementPolicy& policy);
  ~MemoryTier();

  // The block, if it is here; counts as a read of it.
  std::optional<Lease> Find(BlockKey key, ReaderId reader);
  // The same without telling the policy.
  std::optional<Lease> Peek(BlockKey key);

  // Room for a block of `size_bytes`, made by evicting what the policy names, and neighbours of
  // that where a block larger than most would else leave more than 4% of the arena in small free
  // pieces. None when leases and reservations hold too much of the arena, or lie too densely: ask
  // again when one has died. None for ever for 0, more than the budget, or more than
  // kBlockBytesMax. With kFreeRoom also none while no free piece is that large; with kSpentRoom,
  // while what is spent does not make one.
  std::optional<Reservation> Reserve(uint64_t size_bytes, RoomRule rule = RoomRule::kMayEvict);

  // Makes the block visible under `key` with the digest of its bytes and returns a lease on it. A
  // block that was there under the same key is replaced; leases on it stay valid.
  Lease Publish(Reservation reservation, BlockKey key, uint64_t digest);

  // Forgets a block. Leases stay valid.
  void Remove(BlockKey key);

  // Keys of blocks that are here, for whoever looks at all of them: up to `count_max`, from place
  // `from` on (0 first); returns the place to go on from, none at the end. What comes and goes
  // meanwhile may be missed or named twice.
  std::optional<size_t> Keys(size_t from, size_t count_max, std::vector<BlockKey>& keys) const;

  // Runs `steer` under the lock that the policy is called under, for whoever tells the policy more
  // than the tier does. It must be short, and call nothing of the tier.
  void Steer(const std::function<void()>& steer);

  MemoryUsage Usage() const;
  int memfd() const;  // sealed against shrinking, growing and new writable mappings

 private:
  friend class Lease;
  friend class Reservation;
  class Impl;
  explicit MemoryTier(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace stokefs::cache
