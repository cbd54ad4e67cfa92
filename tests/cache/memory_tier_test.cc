#include "cache/memory_tier.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cache/digest.h"
#include "cache/lru_policy.h"
#include "tests/support/block_bytes.h"

namespace stokefs::cache {
namespace {

using stokefs::testing::FillBlock;
using stokefs::testing::HoldsBlock;

constexpr uint64_t kMiB = 1 << 20;
constexpr ReaderId kReader{1};

BlockKey Key(uint32_t node, uint32_t index = 0) { return {NodeId{node}, index}; }

class MemoryTierTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(kMiB); }
  void Open(uint64_t budget_bytes) {
    tier_.reset();
    policy_ = std::make_unique<LruPolicy>();
    auto tier = MemoryTier::Create(budget_bytes, *policy_);
    ASSERT_TRUE(tier.has_value());
    tier_ = std::move(*tier);
  }
  // Publishes a block whose bytes tell its key and `salt`; none when there is no room.
  std::optional<Lease> Put(BlockKey key, uint64_t size_bytes, uint64_t salt = 0) {
    auto reservation = tier_->Reserve(size_bytes);
    if (!reservation) return std::nullopt;
    EXPECT_EQ(reservation->bytes().size(), size_bytes);
    FillBlock(reservation->bytes(), key, salt);
    uint64_t const digest = DigestOf(reservation->bytes());
    return tier_->Publish(std::move(*reservation), key, digest);
  }

  std::unique_ptr<LruPolicy> policy_;
  std::unique_ptr<MemoryTier> tier_;
};

TEST_F(MemoryTierTest, APublishedBlockIsFoundWithItsBytesAndDigest) {
  ASSERT_TRUE(Put(Key(7, 3), 1001).has_value());
  auto const lease = tier_->Find(Key(7, 3), kReader);
  ASSERT_TRUE(lease.has_value());
  EXPECT_EQ(lease->bytes().size(), 1001u);
  EXPECT_TRUE(HoldsBlock(lease->bytes(), Key(7, 3)));
  EXPECT_EQ(lease->digest(), DigestOf(lease->bytes()));
  EXPECT_FALSE(tier_->Find(Key(7, 2), kReader).has_value());
  EXPECT_FALSE(tier_->Peek(Key(3, 7)).has_value());
}

TEST_F(MemoryTierTest, RefusesABudgetBelowOneMebibyte) {
  LruPolicy policy;
  EXPECT_EQ(MemoryTier::Create(kMiB - 1, policy).error().code, std::errc::invalid_argument);
}

TEST_F(MemoryTierTest, AReservationIsInvisibleAndFreesItsRoomWhenDropped) {
  {
    auto reservation = tier_->Reserve(1000);
    ASSERT_TRUE(reservation.has_value());
    EXPECT_EQ(tier_->Usage().reserved_bytes, 1008u);
    EXPECT_EQ(tier_->Usage().slot_count, 0u);
    Reservation moved = std::move(*reservation);
    EXPECT_FALSE(reservation->Valid());
    EXPECT_TRUE(moved.Valid());
  }
  EXPECT_EQ(tier_->Usage().reserved_bytes, 0u);
  EXPECT_EQ(tier_->Usage().used_bytes, 0u);
}

TEST_F(MemoryTierTest, ARequestThatCanNeverFitEvictsNothing) {
  ASSERT_TRUE(Put(Key(1), 1000).has_value());
  EXPECT_FALSE(tier_->Reserve(0).has_value());
  EXPECT_FALSE(tier_->Reserve(kMiB + 1).has_value());
  EXPECT_FALSE(tier_->Reserve(kBlockBytesMax + 1).has_value());
  EXPECT_TRUE(tier_->Peek(Key(1)).has_value());
  EXPECT_EQ(tier_->Usage().evicted_count, 0u);
}

TEST_F(MemoryTierTest, ABlockOfTheWholeBudgetFitsWhenNothingIsHeld) {
  for (uint32_t node = 1; node <= 2000; ++node) ASSERT_TRUE(Put(Key(node), 500).has_value());
  EXPECT_TRUE(Put(Key(9999), kMiB).has_value());
  EXPECT_EQ(tier_->Usage().slot_count, 1u);
  EXPECT_EQ(tier_->Usage().used_bytes, kMiB);
}

TEST_F(MemoryTierTest, TheLeastRecentlyReadBlockMakesRoom) {
  for (uint32_t node = 0; node < 4; ++node) ASSERT_TRUE(Put(Key(node), kMiB / 4).has_value());
  ASSERT_TRUE(tier_->Find(Key(0), kReader).has_value());
  ASSERT_TRUE(tier_->Peek(Key(1)).has_value());  // a peek is no read
  ASSERT_TRUE(Put(Key(4), kMiB / 4).has_value());
  EXPECT_TRUE(tier_->Peek(Key(0)).has_value());
  EXPECT_FALSE(tier_->Peek(Key(1)).has_value());
  EXPECT_EQ(tier_->Usage().evicted_count, 1u);
}

TEST_F(MemoryTierTest, FreeRoomEvictsNothing) {
  ASSERT_TRUE(Put(Key(1), kMiB / 2).has_value());
  EXPECT_FALSE(tier_->Reserve(kMiB * 3 / 4, RoomRule::kFreeRoom).has_value());
  EXPECT_TRUE(tier_->Reserve(kMiB / 2, RoomRule::kFreeRoom).has_value());
  EXPECT_EQ(tier_->Usage().slot_count, 1u);
  EXPECT_TRUE(tier_->Reserve(kMiB * 3 / 4).has_value());
  EXPECT_EQ(tier_->Usage().slot_count, 0u);
}

TEST_F(MemoryTierTest, LeasedBlocksAreNotEvictedAndTheRequestIsRefusedWithoutHarm) {
  auto const held = Put(Key(1), 600'000);
  ASSERT_TRUE(held.has_value());
  ASSERT_TRUE(Put(Key(2), 300'000).has_value());
  EXPECT_FALSE(tier_->Reserve(500'000).has_value());
  EXPECT_TRUE(tier_->Peek(Key(2)).has_value());
  EXPECT_TRUE(tier_->Reserve(400'000).has_value());
  EXPECT_FALSE(tier_->Peek(Key(2)).has_value());
  EXPECT_TRUE(HoldsBlock(held->bytes(), Key(1)));
}

TEST_F(MemoryTierTest, ARemovedBlockStaysReadableUnderItsLeaseAndCountsUntilItDies) {
  auto lease = Put(Key(1), 1000);
  auto second = tier_->Find(Key(1), kReader);
  tier_->Remove(Key(1));
  tier_->Remove(Key(1));  // no harm
  EXPECT_FALSE(tier_->Find(Key(1), kReader).has_value());
  EXPECT_EQ(tier_->Usage().payload_bytes, 0u);
  EXPECT_EQ(tier_->Usage().leased_bytes, 1008u);
  EXPECT_TRUE(HoldsBlock(lease->bytes(), Key(1)));
  lease.reset();
  EXPECT_EQ(tier_->Usage().used_bytes, 1008u);
  EXPECT_TRUE(HoldsBlock(second->bytes(), Key(1)));
  second.reset();
  EXPECT_EQ(tier_->Usage().used_bytes, 0u);
  EXPECT_EQ(tier_->Usage().leased_bytes, 0u);
}

TEST_F(MemoryTierTest, AReplacedBlockKeepsItsBytesForWhoeverHoldsIt) {
  auto const old = Put(Key(1), 5000, 1);
  ASSERT_TRUE(Put(Key(1), 6000, 2).has_value());
  auto const now = tier_->Find(Key(1), kReader);
  EXPECT_TRUE(HoldsBlock(old->bytes(), Key(1), 1));
  EXPECT_EQ(now->bytes().size(), 6000u);
  EXPECT_TRUE(HoldsBlock(now->bytes(), Key(1), 2));
  EXPECT_EQ(tier_->Usage().slot_count, 1u);
}

TEST_F(MemoryTierTest, AMovedLeaseLivesOnceAndAssignmentDropsTheOldOne) {
  Lease a = *Put(Key(1), 100);
  Lease b = *Put(Key(2), 100);
  EXPECT_EQ(tier_->Usage().leased_bytes, 224u);
  a = std::move(b);
  EXPECT_FALSE(b.Valid());
  EXPECT_TRUE(HoldsBlock(a.bytes(), Key(2)));
  EXPECT_EQ(tier_->Usage().leased_bytes, 112u);
  a = Lease();
  EXPECT_EQ(tier_->Usage().leased_bytes, 0u);
}

TEST_F(MemoryTierTest, TheMemfdHoldsABlocksBytesAtItsArenaOffset) {
  ASSERT_TRUE(Put(Key(1), 777).has_value());
  auto const lease = Put(Key(2), 4321);
  auto* const view =
      static_cast<std::byte*>(mmap(nullptr, kMiB, PROT_READ, MAP_SHARED, tier_->memfd(), 0));
  ASSERT_NE(view, MAP_FAILED);
  EXPECT_TRUE(HoldsBlock({view + lease->arena_offset(), 4321}, Key(2)));
  munmap(view, kMiB);
  EXPECT_EQ(mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, tier_->memfd(), 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
}

// Against std::map: what is cached has the right bytes, what is leased keeps them, the budget
// holds.
TEST_F(MemoryTierTest, FollowsAMapOverRandomOperations) {
  uint64_t const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  struct Version {
    uint64_t size_bytes = 0, salt = 0;
  };
  struct Held {
    Lease lease;
    BlockKey key;
    Version version;
  };
  std::map<BlockKey, Version> newest;  // of what was ever published and not removed
  std::vector<Held> held;
  std::vector<Reservation> reserved;
  for (uint64_t step = 1; step <= 20'000; ++step) {
    BlockKey const key = Key(static_cast<uint32_t>(random() % 300), random() % 2);
    uint64_t const dice = random() % 100;
    if (dice < 35) {
      uint64_t const size = random() % 10 == 0 ? 1 + random() % 200'000 : 1 + random() % 9000;
      if (auto lease = Put(key, size, step)) {
        newest[key] = {size, step};
        if (random() % 20 == 0) held.push_back({std::move(*lease), key, newest[key]});
      }
    } else if (dice < 75) {
      auto lease = random() % 2 == 0 ? tier_->Find(key, kReader) : tier_->Peek(key);
      if (lease) {
        ASSERT_TRUE(newest.contains(key));
        ASSERT_EQ(lease->bytes().size(), newest[key].size_bytes);
        ASSERT_TRUE(HoldsBlock(lease->bytes(), key, newest[key].salt));
        if (random() % 20 == 0) held.push_back({std::move(*lease), key, newest[key]});
      }
    } else if (dice < 80) {
      tier_->Remove(key);
      newest.erase(key);
    } else if (dice < 85) {
      if (auto reservation = tier_->Reserve(1 + random() % 30'000))
        reserved.push_back(std::move(*reservation));
    } else if (dice < 90 && !reserved.empty()) {
      reserved.erase(reserved.begin() + static_cast<long>(random() % reserved.size()));
    } else if (!held.empty()) {
      auto const at = held.begin() + static_cast<long>(random() % held.size());
      ASSERT_EQ(at->lease.bytes().size(), at->version.size_bytes);
      ASSERT_TRUE(HoldsBlock(at->lease.bytes(), at->key, at->version.salt));
      held.erase(at);
    }
    MemoryUsage const usage = tier_->Usage();
    ASSERT_LE(usage.used_bytes, usage.budget_bytes);
    ASSERT_LE(usage.payload_bytes + usage.reserved_bytes, usage.used_bytes);
    ASSERT_LE(usage.leased_bytes + usage.reserved_bytes, usage.used_bytes);
    ASSERT_LE(usage.slot_count, newest.size());
  }
  for (auto const& [lease, key, version] : held)
    EXPECT_TRUE(HoldsBlock(lease.bytes(), key, version.salt));
  held.clear();
  reserved.clear();
  for (auto const& [key, version] : newest) tier_->Remove(key);
  EXPECT_EQ(tier_->Usage().used_bytes, 0u);
  EXPECT_EQ(tier_->Usage().leased_bytes, 0u);
  EXPECT_EQ(tier_->Usage().slot_count, 0u);
}

TEST_F(MemoryTierTest, FourThreadsNeverSeeAMixOfBlocks) {
  uint64_t const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  auto const work = [this, seed](unsigned thread) {
    std::mt19937_64 random(seed + thread);
    std::vector<std::pair<BlockKey, Lease>> held;
    for (int step = 0; step < 8000; ++step) {
      BlockKey const key = Key(static_cast<uint32_t>(random() % 400));
      auto lease = tier_->Find(key, {thread});
      if (!lease) lease = Put(key, 1 + random() % 8000);
      if (lease) {
        EXPECT_EQ(lease->digest(), DigestOf(lease->bytes()));
        EXPECT_TRUE(HoldsBlock(lease->bytes(), key));
        if (random() % 8 == 0) held.emplace_back(key, std::move(*lease));
      }
      if (random() % 16 == 0) tier_->Remove(Key(static_cast<uint32_t>(random() % 400)));
      if (random() % 16 == 0) Put(key, 1 + random() % 8000);  // replaces
      if (held.size() > 10) {
        for (auto const& [held_key, kept] : held) EXPECT_TRUE(HoldsBlock(kept.bytes(), held_key));
        held.clear();
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) threads.emplace_back(work, thread);
  for (auto& thread : threads) thread.join();
  MemoryUsage const usage = tier_->Usage();
  EXPECT_EQ(usage.leased_bytes, 0u);
  EXPECT_EQ(usage.reserved_bytes, 0u);
  EXPECT_GT(usage.evicted_count, 0u);
  for (uint32_t node = 0; node < 400; ++node) tier_->Remove(Key(node));
  EXPECT_EQ(tier_->Usage().used_bytes, 0u);
}

TEST_F(MemoryTierTest, ALargeBlockAmongSmallOnesEvictsAFewTimesItsSizeOnly) {
  Open(64 * kMiB);
  for (uint32_t node = 1; node <= 140'000; ++node) ASSERT_TRUE(Put(Key(node), 480).has_value());
  MemoryUsage const before = tier_->Usage();
  ASSERT_TRUE(tier_->Reserve(kMiB).has_value());
  EXPECT_LE(before.payload_bytes - tier_->Usage().payload_bytes, 4 * kMiB);
}

TEST_F(MemoryTierTest, LeasesThatLieTooDenselyRefuseARequestWithoutEmptyingTheCache) {
  Open(8 * kMiB);
  std::vector<Lease> held;
  for (uint32_t node = 0; node < 8 * 64; ++node) {  // 16 KiB each, the first of each MiB is held
    auto lease = Put(Key(node), 16 << 10);
    ASSERT_TRUE(lease.has_value());
    if (node % 64 == 0) held.push_back(std::move(*lease));
  }
  EXPECT_FALSE(tier_->Reserve(kMiB).has_value());
  EXPECT_GE(tier_->Usage().payload_bytes, 7 * kMiB);
  EXPECT_TRUE(tier_->Reserve(kMiB - (16 << 10)).has_value());
  held.clear();
  EXPECT_TRUE(tier_->Reserve(kMiB).has_value());
}

TEST_F(MemoryTierTest, ASmallBlockCostsAtMost90BytesBesideTheArena) {
  constexpr uint64_t kLruBytes = 8;
  Open(64 * kMiB);
  std::mt19937_64 random(1);
  for (uint32_t node = 1; node <= 300'000; ++node) {  // more than fit: a steady state
    auto reservation = tier_->Reserve(400 + random() % 200);
    ASSERT_TRUE(reservation.has_value());
    tier_->Publish(std::move(*reservation), Key(node), 0);
  }
  MemoryUsage const usage = tier_->Usage();
  double const bytes =
      static_cast<double>(usage.overhead_bytes) / static_cast<double>(usage.slot_count) + kLruBytes;
  std::printf("%.1f bytes a block, %llu blocks\n", bytes,
              static_cast<unsigned long long>(usage.slot_count));
  EXPECT_LE(bytes, 90.0);
}

}  // namespace
}  // namespace stokefs::cache
