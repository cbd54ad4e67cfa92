// How much of the arena holds payload once the cache is full and lives from eviction. What is lost
// is rounding, free pieces between blocks, and room kept free for large ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "cache/lru_policy.h"
#include "cache/memory_tier.h"

namespace stokefs::cache {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// The worst case for an allocator, and what refilling used slots in shuffled epochs comes near to.
class RandomPolicy final : public ReplacementPolicy {
 public:
  void OnInsert(SlotIndex slot, BlockKey, uint64_t) override {
    if (slot.value >= places_.size()) places_.resize(slot.value + 1);
    places_[slot.value] = slots_.size();
    slots_.push_back(slot);
  }
  void OnRead(SlotIndex, ReaderId) override {}
  void OnRemove(SlotIndex slot) override {
    size_t const place = places_[slot.value];
    slots_[place] = slots_.back();
    places_[slots_[place].value] = place;
    slots_.pop_back();
  }
  std::optional<SlotIndex> ChooseVictim(const SlotFilter& filter) override {
    if (slots_.empty()) return std::nullopt;
    size_t const start = random_() % slots_.size();
    for (size_t i = 0; i < slots_.size(); ++i) {
      SlotIndex const slot = slots_[(start + i) % slots_.size()];
      if (filter.MayGo(slot)) return slot;
    }
    return std::nullopt;
  }

 private:
  std::vector<SlotIndex> slots_;
  std::vector<size_t> places_;  // of each slot in slots_
  std::mt19937_64 random_{1};
};

using Random = std::mt19937_64;

uint64_t Lognormal(Random& random, double mean, double sigma) {
  std::lognormal_distribution<double> sizes(std::log(mean) - sigma * sigma / 2, sigma);
  return std::clamp<uint64_t>(static_cast<uint64_t>(sizes(random)), 1, kMiB);
}

struct Workload {
  const char* name;
  uint64_t arena_bytes;
  std::function<uint64_t(Random&)> size;
  bool small = false;  // so many blocks that what each costs shows

  friend void PrintTo(const Workload& workload, std::ostream* out) { *out << workload.name; }
};

class Fragmentation : public ::testing::TestWithParam<Workload> {
 protected:
  // Payload / budget over three arenas' worth of insertions into a full cache: mean and least.
  struct Share {
    double mean = 0, least = 1;
    double overhead_bytes = 0;  // beside the arena, a block, at the end; without the policy's
  };
  static Share Measure(const Workload& workload, ReplacementPolicy& policy) {
    auto const tier = std::move(*MemoryTier::Create(workload.arena_bytes, policy));
    Random random(7);
    uint64_t inserted_bytes = 0;
    uint32_t node = 0;
    Share share;
    uint64_t measured_count = 0;
    while (inserted_bytes < 6 * workload.arena_bytes) {
      uint64_t const size = workload.size(random);
      auto reservation = tier->Reserve(size);
      EXPECT_TRUE(reservation.has_value());
      if (!reservation) break;
      tier->Publish(std::move(*reservation), {NodeId{++node}, 0}, 0);
      inserted_bytes += size;
      if (inserted_bytes < 3 * workload.arena_bytes) continue;
      double const now = static_cast<double>(tier->Usage().payload_bytes) /
                         static_cast<double>(workload.arena_bytes);
      share.mean += now;
      share.least = std::min(share.least, now);
      ++measured_count;
    }
    MemoryUsage const usage = tier->Usage();
    share.overhead_bytes =
        static_cast<double>(usage.overhead_bytes) / static_cast<double>(usage.slot_count);
    share.mean /= static_cast<double>(measured_count);
    return share;
  }
};

TEST_P(Fragmentation, LeavesNearlyAllOfTheArenaToPayload) {
  LruPolicy lru;
  RandomPolicy random;
  Share const under_lru = Measure(GetParam(), lru), under_random = Measure(GetParam(), random);
  std::printf(
      "%-24s payload/budget: lru mean %.4f least %.4f, random mean %.4f least %.4f; "
      "%.1f bytes beside it a block\n",
      GetParam().name, under_lru.mean, under_lru.least, under_random.mean, under_random.least,
      under_random.overhead_bytes);
  EXPECT_GE(under_lru.mean, 0.955);
  EXPECT_GE(under_lru.least, 0.94);
  EXPECT_GE(under_random.mean, 0.95);
  EXPECT_GE(under_random.least, 0.93);
  constexpr double kLruBytes = 8;
  if (GetParam().small) {
    EXPECT_LE(under_random.overhead_bytes + kLruBytes, 90);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, Fragmentation,
    ::testing::Values(Workload{"lognormal 110 KB, 0.5", 256 * kMiB,
                               [](Random& random) { return Lognormal(random, 110e3, 0.5); }},
                      Workload{"lognormal 100 KB, 1.0", 256 * kMiB,
                               [](Random& random) { return Lognormal(random, 100e3, 1.0); }},
                      Workload{"lognormal 506 B, 0.3", 16 * kMiB,
                               [](Random& random) { return Lognormal(random, 506, 0.3); }, true},
                      Workload{"mix of those and extents", 48 * kMiB,
                               [](Random& random) {
                                 uint64_t const dice = random() % 100;
                                 if (dice < 90) return Lognormal(random, 506, 0.3);
                                 return dice < 99 ? Lognormal(random, 110e3, 0.5) : kMiB;
                               }}),
    [](auto const& workload) { return "Workload" + std::to_string(workload.index); });

}  // namespace
}  // namespace stokefs::cache
