// Where the policy knows what is spent, the memory tier moves blocks together rather than let go of
// those that are not.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "cache/digest.h"
#include "cache/lru_policy.h"
#include "cache/memory_tier.h"
#include "tests/support/block_bytes.h"

namespace stokefs::cache {
namespace {

using stokefs::testing::FillBlock;
using stokefs::testing::HoldsBlock;

constexpr uint64_t kMiB = 1 << 20;
constexpr ReaderId kReader{1};

BlockKey Key(uint32_t node) { return {NodeId{node}, 0}; }

// What the test says is spent, is. Nothing else goes unless a victim is asked for.
class TestPolicy final : public ReplacementPolicy {
 public:
  void OnInsert(SlotIndex slot, BlockKey key, uint64_t size_bytes) override {
    recency_.OnInsert(slot, key, size_bytes);
    slots_[key] = slot;
    keys_[slot] = key;
  }
  void OnRead(SlotIndex slot, ReaderId reader) override { recency_.OnRead(slot, reader); }
  void OnRemove(SlotIndex slot) override {
    recency_.OnRemove(slot);
    spent_.erase(slot);
    slots_.erase(keys_.at(slot));
    keys_.erase(slot);
  }
  std::optional<SlotIndex> ChooseVictim(const SlotFilter& filter) override {
    return recency_.ChooseVictim(filter);
  }
  bool KnowsSpent() const override { return true; }
  std::optional<SlotIndex> ChooseSpent(const SlotFilter& filter, bool /*reader_waits*/) override {
    for (SlotIndex const slot : spent_)
      if (filter.MayGo(slot)) return slot;
    return std::nullopt;
  }
  bool Holds(BlockKey key) const { return slots_.contains(key); }
  void Spend(BlockKey key) { spent_.insert(slots_.at(key)); }

 private:
  LruPolicy recency_;
  std::set<SlotIndex> spent_;
  std::map<BlockKey, SlotIndex> slots_;
  std::map<SlotIndex, BlockKey> keys_;
};

class MemoryTierMovesTest : public ::testing::Test {
 protected:
  MemoryTierMovesTest() { tier_ = std::move(*MemoryTier::Create(kMiB, policy_)); }

  bool Put(uint32_t node, uint64_t size_bytes, RoomRule rule) {
    auto room = tier_->Reserve(size_bytes, rule);
    if (!room) return false;
    FillBlock(room->bytes(), Key(node));
    uint64_t const digest = DigestOf(room->bytes());
    tier_->Publish(std::move(*room), Key(node), digest);
    return true;
  }
  // 64 blocks of 16 KiB, nodes 0 to 63 in the order of the arena: nothing is free.
  void Fill() {
    for (uint32_t node = 0; node < 64; ++node)
      ASSERT_TRUE(Put(node, kMiB / 64, RoomRule::kFreeRoom));
  }
  void ExpectRight(uint32_t node, uint64_t size_bytes) {
    auto const lease = tier_->Peek(Key(node));
    ASSERT_TRUE(lease.has_value()) << node;
    EXPECT_EQ(lease->bytes().size(), size_bytes);
    EXPECT_TRUE(HoldsBlock(lease->bytes(), Key(node))) << node;
  }

  TestPolicy policy_;
  std::unique_ptr<MemoryTier> tier_;
};

TEST_F(MemoryTierMovesTest, BlocksBetweenFreePiecesMoveAndNoneIsLost) {
  Fill();
  for (uint32_t const node : {10, 13, 20, 23}) policy_.Spend(Key(node));
  ASSERT_TRUE(Put(100, 2 * (kMiB / 64), RoomRule::kSpentRoom));
  for (uint32_t node = 0; node < 64; ++node) {
    bool const was_spent = node == 10 || node == 13 || node == 20 || node == 23;
    if (!was_spent) ExpectRight(node, kMiB / 64);
  }
  ExpectRight(100, 2 * (kMiB / 64));
}

TEST_F(MemoryTierMovesTest, ALeasedBlockStaysWhereItIs) {
  Fill();
  policy_.Spend(Key(10));
  policy_.Spend(Key(12));
  auto const lease = tier_->Find(Key(11), kReader);
  std::span<const std::byte> const bytes = lease->bytes();
  // Only the block in between could move, and it must not.
  EXPECT_FALSE(Put(100, 2 * (kMiB / 64), RoomRule::kSpentRoom));
  EXPECT_EQ(lease->bytes().data(), bytes.data());
  EXPECT_TRUE(HoldsBlock(bytes, Key(11)));
  ExpectRight(9, kMiB / 64);
  ExpectRight(13, kMiB / 64);
}

TEST_F(MemoryTierMovesTest, WithoutSpentBlocksThereIsNoRoomForWhatNobodyWaitsFor) {
  Fill();
  EXPECT_FALSE(Put(100, 1000, RoomRule::kSpentRoom));
  EXPECT_TRUE(Put(100, 1000, RoomRule::kMayEvict));
}

// A move is not seen by readers: a lease taken at any time holds its block's bytes until it dies.
TEST_F(MemoryTierMovesTest, ReadersSeeRightBytesWhileBlocksMove) {
  constexpr uint32_t kNodeCount = 200;
  std::atomic<bool> done{false};
  std::atomic<uint64_t> read_count{0};
  std::vector<std::thread> readers;
  for (unsigned r = 0; r < 2; ++r) {
    readers.emplace_back([&, r] {
      std::mt19937 dice(r);
      while (!done) {
        uint32_t const node = dice() % kNodeCount;
        auto const lease = tier_->Find(Key(node), kReader);
        if (!lease) continue;
        EXPECT_TRUE(HoldsBlock(lease->bytes(), Key(node)));
        ++read_count;
      }
    });
  }
  std::mt19937 dice(5);
  uint32_t put_count = 0;
  for (int i = 0; i < 4000 || read_count < 1000; ++i) {
    uint32_t const node = dice() % kNodeCount;
    tier_->Steer([&] {
      for (int spent = 0; spent < 3; ++spent) {
        uint32_t const other = dice() % kNodeCount;
        if (policy_.Holds(Key(other))) policy_.Spend(Key(other));
      }
    });
    if (!tier_->Peek(Key(node)) && Put(node, 1000 + dice() % 30'000, RoomRule::kSpentRoom))
      ++put_count;
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(put_count, 1000u);
}

}  // namespace
}  // namespace stokefs::cache
