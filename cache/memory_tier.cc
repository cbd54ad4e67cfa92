#include "cache/memory_tier.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/sync.h"
#include "cache/arena.h"
#include "cache/evictable_stretch.h"
#include "cache/slot_allocator.h"
#include "cache/slot_table.h"

namespace stokefs::cache {

// The life of a slot:
//
//   unused -> reserved -> published -> unused      (evicted, removed or replaced, no lease on it)
//                |            |
//                v            +-----> detached -> unused     (its last lease has died)
//              unused                 (removed or replaced under a lease)
//
// reserved: known to its Reservation only. published: in the index and in the policy. detached: in
// neither, its block still taken.
//
// lease_word: the number of leases, and kUnlisted while the slot is not published; 0 says: may be
// evicted. Leases are added under mu_ only, so a 0 seen under mu_ stays 0 until mu_ is given up;
// they die without mu_, because each READ ends in one: the one that takes the word from
// (kUnlisted | 1) to kUnlisted frees the slot.
class MemoryTier::Impl {
 public:
  Impl(std::unique_ptr<Arena> arena, ReplacementPolicy& policy)
      : arena_(std::move(arena)), policy_(policy), allocator_(arena_->size_bytes()) {}

  struct Leased {
    SlotIndex slot;
    uint32_t* lease_word;
    std::span<const std::byte> bytes;
    uint64_t digest;
  };
  struct Reserved {
    SlotIndex slot;
    std::span<std::byte> bytes;
  };

  std::optional<Leased> Find(BlockKey key, const ReaderId* reader) EXCLUDES(mu_);
  void DropLease(SlotIndex slot, uint32_t& lease_word, uint64_t size_bytes) EXCLUDES(mu_);
  std::optional<Reserved> Reserve(uint64_t size_bytes, RoomRule rule) EXCLUDES(mu_);
  void DropReservation(SlotIndex slot) EXCLUDES(mu_);
  Leased Publish(SlotIndex slot, BlockKey key, uint64_t digest) EXCLUDES(mu_);
  void Remove(BlockKey key) EXCLUDES(mu_);
  std::optional<size_t> Keys(size_t from, size_t count_max, std::vector<BlockKey>& keys)
      EXCLUDES(mu_);
  MemoryUsage Usage() EXCLUDES(mu_);
  void Steer(const std::function<void()>& steer) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    steer();
  }
  const Arena& arena() const { return *arena_; }

 private:
  class MayGoFilter;
  enum class Towards : uint8_t { kEnd, kBeginning };
  static constexpr uint32_t kUnlisted = uint32_t{1} << 31;

  std::byte* BytesOf(const Slot& slot) const REQUIRES(mu_) {
    return arena_->data() + allocator_.OffsetOf(slot.block);
  }
  Leased AddLease(SlotIndex slot) REQUIRES(mu_);
  bool MakeRoom(uint64_t size_bytes, RoomRule rule) REQUIRES(mu_);
  bool MoveTogether(uint64_t size_bytes) REQUIRES(mu_);
  std::optional<uint64_t> MovedBytes(SlotAllocator::BlockId hole, uint64_t size_bytes,
                                     Towards towards) REQUIRES(mu_);
  bool EvictStretch(uint64_t size_bytes) REQUIRES(mu_);
  void Evict(SlotIndex slot) REQUIRES(mu_);
  void Unpublish(SlotIndex slot) REQUIRES(mu_);
  void FreeSlot(SlotIndex slot) REQUIRES(mu_);

  const std::unique_ptr<Arena> arena_;
  // Rounded bytes under at least one lease. Atomic: leases die without mu_.
  std::atomic<uint64_t> leased_bytes_{0};

  base::Mutex mu_;
  ReplacementPolicy& policy_ GUARDED_BY(mu_);
  SlotTable slots_ GUARDED_BY(mu_);
  SlotAllocator allocator_ GUARDED_BY(mu_);
  uint64_t payload_bytes_ GUARDED_BY(mu_) = 0;
  uint64_t reserved_bytes_ GUARDED_BY(mu_) = 0;
  uint64_t evicted_count_ GUARDED_BY(mu_) = 0;
};

class MemoryTier::Impl::MayGoFilter final : public SlotFilter {
 public:
  explicit MayGoFilter(SlotTable& slots) : slots_(slots) {}
  bool MayGo(SlotIndex slot) const override {
    // acquire: what the last reader read was read before its bytes are overwritten.
    return std::atomic_ref(slots_[slot].lease_word).load(std::memory_order_acquire) == 0 &&
           std::find(passed_over_.begin(), passed_over_.end(), slot) == passed_over_.end();
  }
  // Holds back `slot` too from now on.
  void PassOver(SlotIndex slot) { passed_over_.push_back(slot); }

 private:
  SlotTable& slots_;
  std::vector<SlotIndex> passed_over_;
};

std::optional<MemoryTier::Impl::Leased> MemoryTier::Impl::Find(BlockKey key,
                                                               const ReaderId* reader) {
  base::MutexLock lock(mu_);
  auto const slot = slots_.Find(key);
  if (!slot) return std::nullopt;
  if (reader != nullptr) policy_.OnRead(*slot, *reader);
  return AddLease(*slot);
}

MemoryTier::Impl::Leased MemoryTier::Impl::AddLease(SlotIndex index) {
  Slot& slot = slots_[index];
  uint32_t const before = std::atomic_ref(slot.lease_word).fetch_add(1, std::memory_order_relaxed);
  STOKEFS_CHECK(before < kUnlisted - 1);
  if (before == 0)
    leased_bytes_.fetch_add(SlotAllocator::RoundUp(slot.size_bytes), std::memory_order_relaxed);
  return {index, &slot.lease_word, {BytesOf(slot), slot.size_bytes}, slot.digest};
}

void MemoryTier::Impl::DropLease(SlotIndex slot, uint32_t& lease_word, uint64_t size_bytes) {
  uint32_t const before = std::atomic_ref(lease_word).fetch_sub(1, std::memory_order_acq_rel);
  if ((before & ~kUnlisted) != 1) return;
  leased_bytes_.fetch_sub(SlotAllocator::RoundUp(size_bytes), std::memory_order_relaxed);
  if (before != (kUnlisted | 1)) return;
  base::MutexLock lock(mu_);
  FreeSlot(slot);
}

std::optional<MemoryTier::Impl::Reserved> MemoryTier::Impl::Reserve(uint64_t size_bytes,
                                                                    RoomRule rule) {
  if (size_bytes == 0 || size_bytes > kBlockBytesMax) return std::nullopt;
  base::MutexLock lock(mu_);
  SlotIndex const index = slots_.Take();
  Slot& slot = slots_[index];
  auto block = allocator_.Allocate(size_bytes, index);
  bool const may_evict = rule != RoomRule::kFreeRoom;
  if (!block && may_evict && MakeRoom(size_bytes, rule))
    block = allocator_.Allocate(size_bytes, index);
  if (!block) {
    slots_.Return(index);
    return std::nullopt;
  }
  slot.block = *block;
  slot.size_bytes = static_cast<uint32_t>(size_bytes);
  slot.lease_word = kUnlisted;
  reserved_bytes_ += allocator_.SizeOf(*block);
  return Reserved{index, {BytesOf(slot), size_bytes}};
}

// Evicts until a block of `size_bytes` fits. False when it cannot.
//
// Where only spent blocks may go, a stretch of neighbours is none to take.
// First what the policy names, one by one; that is best for the policy and leaves pieces free that
// later blocks fill. When that does not help, a stretch of neighbours: at most kFreeShare of the
// arena lies idle (with more, blocks larger than most cost too much; with less, too many go that
// the policy would keep), and one request evicts no more than it must. Figures: memory_tier_test.
bool MemoryTier::Impl::MakeRoom(uint64_t size_bytes, RoomRule rule) {
  constexpr uint64_t kFreeShare = 25;  // 1/25 = 4%
  constexpr uint64_t kVictimCount = 64;
  uint64_t const rounded_bytes = SlotAllocator::RoundUp(size_bytes);
  uint64_t const arena_bytes = allocator_.arena_bytes();
  bool const only_spent = rule == RoomRule::kSpentRoom && policy_.KnowsSpent();
  MayGoFilter const filter(slots_);
  uint64_t victim_bytes = 0;
  for (uint64_t victim_count = 0; !allocator_.Fits(size_bytes); ++victim_count) {
    uint64_t const held_bytes = reserved_bytes_ + leased_bytes_.load(std::memory_order_relaxed);
    if (held_bytes + rounded_bytes > arena_bytes) return false;
    auto victim = policy_.ChooseSpent(filter, !only_spent);
    uint64_t const free_bytes = arena_bytes - allocator_.used_bytes();
    if (!victim && policy_.KnowsSpent() && free_bytes >= 2 * rounded_bytes &&
        MoveTogether(size_bytes))
      return true;
    if (!victim && only_spent) return false;
    if (!victim) {
      bool const enough_free = free_bytes >= arena_bytes / kFreeShare;
      bool const enough_evicted = victim_count >= kVictimCount && victim_bytes >= 2 * rounded_bytes;
      if (enough_free || enough_evicted) return EvictStretch(rounded_bytes);
      victim = policy_.ChooseVictim(filter);
    }
    if (!victim) return false;
    victim_bytes += slots_[*victim].size_bytes;
    Evict(*victim);
  }
  return true;
}

// Slides the largest free piece over its neighbours, which change places with it, until it has
// taken in so many others that a block of `size_bytes` fits: to the side where that moves less.
// That costs a copy and spares what some job will read.
bool MemoryTier::Impl::MoveTogether(uint64_t size_bytes) {
  auto hole = allocator_.LargestFree();
  if (hole == SlotAllocator::BlockId{}) return false;
  auto const to_end = MovedBytes(hole, size_bytes, Towards::kEnd);
  auto const to_beginning = MovedBytes(hole, size_bytes, Towards::kBeginning);
  if (!to_end && !to_beginning) return false;
  bool const goes_to_end = to_end && (!to_beginning || *to_end <= *to_beginning);
  while (allocator_.SizeOf(hole) < size_bytes) {
    auto const block = goes_to_end ? allocator_.After(hole) : allocator_.Before(hole);
    const Slot& slot = slots_[allocator_.OwnerOf(block)];
    std::byte const* const from = BytesOf(slot);
    hole = goes_to_end ? allocator_.SlideDown(hole) : allocator_.SlideUp(hole);
    std::memmove(BytesOf(slot), from, slot.size_bytes);
  }
  return allocator_.Fits(size_bytes);
}

// Of the blocks that must change places with `hole` until it is large enough. None: too many, or
// one of them is leased, so must stay.
std::optional<uint64_t> MemoryTier::Impl::MovedBytes(SlotAllocator::BlockId hole,
                                                     uint64_t size_bytes, Towards towards) {
  constexpr uint64_t kMovedBytesMax = 512u << 10;  // about 50 µs under mu_
  MayGoFilter const may_go(slots_);
  uint64_t free_bytes = allocator_.SizeOf(hole), moved_bytes = 0;
  for (auto block = hole; free_bytes < size_bytes;) {
    block = towards == Towards::kEnd ? allocator_.After(block) : allocator_.Before(block);
    if (block == SlotAllocator::BlockId{}) return std::nullopt;
    uint64_t const block_bytes = allocator_.SizeOf(block);
    if (allocator_.IsFree(block)) {
      free_bytes += block_bytes;
      continue;
    }
    moved_bytes += block_bytes;
    if (moved_bytes > kMovedBytesMax || !may_go.MayGo(allocator_.OwnerOf(block)))
      return std::nullopt;
  }
  return moved_bytes;
}

// Evicts the cheapest stretch around one of the policy's next victims.
bool MemoryTier::Impl::EvictStretch(uint64_t size_bytes) {
  constexpr unsigned kChoiceCount = 8;  // candidates compared: more gain little
  constexpr unsigned kCandidateCountMax =
      64;                                     // tried before giving up, where leases are in the way
  constexpr uint64_t kWalkedCountMax = 4096;  // about 0.5 ms under mu_
  MayGoFilter const may_go(slots_);
  MayGoFilter untried(slots_);
  EvictableStretch best;
  uint64_t walked_count = 0;
  for (unsigned i = 0; i < kCandidateCountMax; ++i) {
    if (best.Found() && i >= kChoiceCount) break;
    if (i > 0 && walked_count >= kWalkedCountMax) break;
    auto const candidate = policy_.ChooseVictim(untried);
    if (!candidate) break;
    untried.PassOver(*candidate);
    auto const stretch =
        FindEvictableStretch(allocator_, slots_[*candidate].block, size_bytes, may_go);
    walked_count += stretch.walked_count;
    if (!stretch.Found()) continue;
    if (!best.Found() || stretch.evicted_bytes < best.evicted_bytes) best = stretch;
  }
  if (!best.Found()) return false;

  std::vector<SlotIndex> victims;  // gathered first: blocks merge as they are freed
  for (auto block = best.first;; block = allocator_.After(block)) {
    if (!allocator_.IsFree(block)) victims.push_back(allocator_.OwnerOf(block));
    if (block == best.last) break;
  }
  for (SlotIndex const victim : victims) Evict(victim);
  return true;
}

void MemoryTier::Impl::Evict(SlotIndex slot) {
  Unpublish(slot);
  ++evicted_count_;
}

void MemoryTier::Impl::DropReservation(SlotIndex slot) {
  base::MutexLock lock(mu_);
  reserved_bytes_ -= allocator_.SizeOf(slots_[slot].block);
  FreeSlot(slot);
}

MemoryTier::Impl::Leased MemoryTier::Impl::Publish(SlotIndex index, BlockKey key, uint64_t digest) {
  base::MutexLock lock(mu_);
  if (auto const old = slots_.Find(key)) Unpublish(*old);
  Slot& slot = slots_[index];
  slot.key = key;
  slot.digest = digest;
  slot.lease_word = 0;
  slots_.Insert(index);
  reserved_bytes_ -= allocator_.SizeOf(slot.block);
  payload_bytes_ += slot.size_bytes;
  policy_.OnInsert(index, key, slot.size_bytes);
  return AddLease(index);
}

void MemoryTier::Impl::Remove(BlockKey key) {
  base::MutexLock lock(mu_);
  if (auto const slot = slots_.Find(key)) Unpublish(*slot);
}

void MemoryTier::Impl::Unpublish(SlotIndex index) {
  Slot& slot = slots_[index];
  slots_.Erase(index);
  policy_.OnRemove(index);
  payload_bytes_ -= slot.size_bytes;
  uint32_t const leases =
      std::atomic_ref(slot.lease_word).fetch_or(kUnlisted, std::memory_order_acq_rel);
  if (leases == 0) FreeSlot(index);
}

void MemoryTier::Impl::FreeSlot(SlotIndex index) {
  allocator_.Free(slots_[index].block);
  slots_.Return(index);
}

std::optional<size_t> MemoryTier::Impl::Keys(size_t from, size_t count_max,
                                             std::vector<BlockKey>& keys) {
  base::MutexLock lock(mu_);
  size_t const end = std::min(slots_.slot_count(), from + count_max);
  for (size_t i = from; i < end; ++i) {
    BlockKey const key = slots_[SlotIndex{static_cast<uint32_t>(i)}].key;
    // Slots that are unused or reserved bear no key; one that is detached is not found by its.
    if (key.node != kNoNode && slots_.Find(key)) keys.push_back(key);
  }
  if (end == slots_.slot_count()) return std::nullopt;
  return end;
}

MemoryUsage MemoryTier::Impl::Usage() {
  base::MutexLock lock(mu_);
  return {.budget_bytes = allocator_.arena_bytes(),
          .used_bytes = allocator_.used_bytes(),
          .payload_bytes = payload_bytes_,
          .reserved_bytes = reserved_bytes_,
          .leased_bytes = leased_bytes_.load(std::memory_order_relaxed),
          .slot_count = slots_.indexed_count(),
          .evicted_count = evicted_count_,
          .overhead_bytes = slots_.FootprintBytes() + allocator_.FootprintBytes()};
}

base::Result<std::unique_ptr<MemoryTier>> MemoryTier::Create(uint64_t budget_bytes,
                                                             ReplacementPolicy& policy) {
  constexpr uint64_t kBudgetBytesMin = 1u << 20;  // below one extent nothing large fits
  if (budget_bytes < kBudgetBytesMin)
    return base::Fail(std::errc::invalid_argument, "memory tier: the budget is below 1 MiB");
  auto arena = Arena::Create(budget_bytes);
  if (!arena) return base::Wrap(std::move(arena.error()), "memory tier");
  return std::unique_ptr<MemoryTier>(
      new MemoryTier(std::make_unique<Impl>(std::move(*arena), policy)));
}

MemoryTier::MemoryTier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MemoryTier::~MemoryTier() = default;

std::optional<Lease> MemoryTier::Find(BlockKey key, ReaderId reader) {
  auto const leased = impl_->Find(key, &reader);
  if (!leased) return std::nullopt;
  return Lease(this, leased->slot, leased->lease_word, leased->bytes, leased->digest);
}

std::optional<Lease> MemoryTier::Peek(BlockKey key) {
  auto const leased = impl_->Find(key, nullptr);
  if (!leased) return std::nullopt;
  return Lease(this, leased->slot, leased->lease_word, leased->bytes, leased->digest);
}

std::optional<Reservation> MemoryTier::Reserve(uint64_t size_bytes, RoomRule rule) {
  auto const reserved = impl_->Reserve(size_bytes, rule);
  if (!reserved) return std::nullopt;
  return Reservation(this, reserved->slot, reserved->bytes);
}

Lease MemoryTier::Publish(Reservation reservation, BlockKey key, uint64_t digest) {
  STOKEFS_CHECK(reservation.tier_ == this);
  reservation.tier_ = nullptr;
  auto const leased = impl_->Publish(reservation.slot_, key, digest);
  return Lease(this, leased.slot, leased.lease_word, leased.bytes, leased.digest);
}

void MemoryTier::Remove(BlockKey key) { impl_->Remove(key); }
std::optional<size_t> MemoryTier::Keys(size_t from, size_t count_max,
                                       std::vector<BlockKey>& keys) const {
  return impl_->Keys(from, count_max, keys);
}
void MemoryTier::Steer(const std::function<void()>& steer) { impl_->Steer(steer); }
MemoryUsage MemoryTier::Usage() const { return impl_->Usage(); }
int MemoryTier::memfd() const { return impl_->arena().memfd(); }

Lease::Lease(MemoryTier* tier, SlotIndex slot, uint32_t* lease_word,
             std::span<const std::byte> bytes, uint64_t digest)
    : tier_(tier), lease_word_(lease_word), slot_(slot), bytes_(bytes), digest_(digest) {}

Lease::Lease(Lease&& other) noexcept
    : tier_(std::exchange(other.tier_, nullptr)),
      lease_word_(other.lease_word_),
      slot_(other.slot_),
      bytes_(std::exchange(other.bytes_, {})),
      digest_(other.digest_) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  Lease taken(std::move(other));
  std::swap(tier_, taken.tier_);
  std::swap(lease_word_, taken.lease_word_);
  std::swap(slot_, taken.slot_);
  std::swap(bytes_, taken.bytes_);
  std::swap(digest_, taken.digest_);
  return *this;
}

Lease::~Lease() {
  if (tier_ != nullptr) tier_->impl_->DropLease(slot_, *lease_word_, bytes_.size());
}

uint64_t Lease::arena_offset() const {
  STOKEFS_CHECK(tier_ != nullptr);
  return static_cast<uint64_t>(bytes_.data() - tier_->impl_->arena().data());
}

Reservation::Reservation(MemoryTier* tier, SlotIndex slot, std::span<std::byte> bytes)
    : tier_(tier), slot_(slot), bytes_(bytes) {}

Reservation::Reservation(Reservation&& other) noexcept
    : tier_(std::exchange(other.tier_, nullptr)),
      slot_(other.slot_),
      bytes_(std::exchange(other.bytes_, {})) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  Reservation taken(std::move(other));
  std::swap(tier_, taken.tier_);
  std::swap(slot_, taken.slot_);
  std::swap(bytes_, taken.bytes_);
  return *this;
}

Reservation::~Reservation() {
  if (tier_ != nullptr) tier_->impl_->DropReservation(slot_);
}

}  // namespace stokefs::cache
