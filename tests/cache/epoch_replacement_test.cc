#include "cache/epoch_replacement.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

namespace stokefs::cache {
namespace {

constexpr uint64_t kSize = 1000;
constexpr uint32_t kFileCount = 100;
constexpr uint32_t kWorker = 77;

struct AllMayGo final : SlotFilter {
  bool MayGo(SlotIndex) const override { return true; }
};
const AllMayGo kAll;

BlockKey Key(uint32_t node) { return {NodeId{node}, 0}; }

// Nodes 2 to 101 are samples; others are none of the map's.
std::unique_ptr<EpochSteering> Steering(uint64_t spared_bytes = 0) {
  std::vector<SampleMap::File> files;
  for (uint32_t node = 2; node < 2 + kFileCount; ++node)
    files.push_back({MakeSampleId(std::to_string(node)), NodeId{node}, kSize});
  return std::make_unique<EpochSteering>(
      SampleMap::Make(files, {}),
      EpochSteering::Options{.capacity_bytes = 50 * kSize, .spared_bytes = spared_bytes});
}

class EpochReplacementTest : public ::testing::Test {
 protected:
  // Slot i holds node 2 + i.
  void Fill(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) replacement_.OnInsert({i}, Key(2 + i), kSize);
  }
  void StartJob(uint8_t job = 0) { replacement_.steering()->policy.StartJob({job}); }
  void Use(uint32_t node, uint8_t job = 0) {
    EpochSteering& steering = *replacement_.steering();
    steering.policy.OnHit(*steering.map->Find(Key(node)), {job});
  }

  EpochReplacement replacement_;
};

TEST_F(EpochReplacementTest, WithoutAMapTheLeastRecentlyReadGoesFirst) {
  Fill(3);
  replacement_.OnRead({0}, {});
  EXPECT_EQ(replacement_.ChooseVictim(kAll), SlotIndex{1});
  EXPECT_FALSE(replacement_.KnowsSpent());
  EXPECT_FALSE(replacement_.ChooseSpent(kAll, true).has_value());
}

TEST_F(EpochReplacementTest, WithoutAJobTheLeastRecentlyReadGoesFirst) {
  Fill(3);
  replacement_.Install(Steering());
  replacement_.OnRead({0}, {});
  EXPECT_EQ(replacement_.ChooseVictim(kAll), SlotIndex{1});
  EXPECT_FALSE(replacement_.KnowsSpent());
}

TEST_F(EpochReplacementTest, WhatWasUsedGoesBeforeWhatIsUnread) {
  Fill(10);
  replacement_.Install(Steering());
  StartJob();
  EXPECT_TRUE(replacement_.KnowsSpent());
  EXPECT_FALSE(replacement_.ChooseSpent(kAll, true).has_value());
  Use(7);
  EXPECT_EQ(replacement_.ChooseSpent(kAll, true), SlotIndex{5});
  EXPECT_EQ(replacement_.ChooseVictim(kAll), SlotIndex{5});
}

TEST_F(EpochReplacementTest, WhatIsNoSampleGoesFirst) {
  replacement_.Install(Steering());
  Fill(10);
  replacement_.OnInsert({10}, Key(5000), kSize);
  replacement_.OnInsert({11}, Key(6000), kSize);
  StartJob();
  Use(7);
  replacement_.OnRead({10}, {});
  EXPECT_EQ(replacement_.ChooseSpent(kAll, false), SlotIndex{11});
  EXPECT_EQ(replacement_.ChooseVictim(kAll), SlotIndex{11});
  replacement_.OnRemove({11});
  replacement_.OnRemove({10});
  EXPECT_EQ(replacement_.ChooseVictim(kAll), SlotIndex{5});
}

TEST_F(EpochReplacementTest, SoMuchOfWhatIsSpentIsLeftToReaders) {
  Fill(10);
  replacement_.Install(Steering(2 * kSize));
  StartJob();
  Use(3);
  Use(4);
  EXPECT_FALSE(replacement_.ChooseSpent(kAll, false).has_value());
  EXPECT_TRUE(replacement_.ChooseSpent(kAll, true).has_value());
  Use(5);
  EXPECT_TRUE(replacement_.ChooseSpent(kAll, false).has_value());
}

TEST_F(EpochReplacementTest, WhatAJobsThreadReadsIsSpentAtOnce) {
  Fill(10);
  replacement_.Install(Steering());
  StartJob();
  replacement_.steering()->jobs_of_thread[kWorker] = 1;
  replacement_.OnRead({4}, {kWorker + 1});
  EXPECT_FALSE(replacement_.ChooseSpent(kAll, true).has_value());
  replacement_.OnRead({4}, {kWorker});
  EXPECT_EQ(replacement_.ChooseSpent(kAll, true), SlotIndex{4});
}

TEST_F(EpochReplacementTest, WhatAnotherJobStillReadsIsNotSpent) {
  Fill(10);
  replacement_.Install(Steering());
  StartJob(0);
  StartJob(1);
  Use(7, 0);
  EXPECT_FALSE(replacement_.ChooseSpent(kAll, true).has_value());
  Use(7, 1);
  EXPECT_EQ(replacement_.ChooseSpent(kAll, true), SlotIndex{5});
}

TEST_F(EpochReplacementTest, AnotherMapTakesOverWhatMemoryHolds) {
  Fill(10);
  replacement_.OnInsert({10}, Key(5000), kSize);
  replacement_.Install(Steering());
  auto const before = replacement_.Install(Steering());
  ASSERT_NE(before, nullptr);
  const EpochPolicy& policy = replacement_.steering()->policy;
  const SampleMap& map = *replacement_.steering()->map;
  for (uint32_t node = 2; node < 2 + kFileCount; ++node) {
    EXPECT_EQ(policy.PlaceOf(*map.Find(Key(node))),
              node < 12 ? EpochPolicy::Place::kCached : EpochPolicy::Place::kAbsent);
  }
  replacement_.Install(nullptr);
  EXPECT_EQ(replacement_.ChooseVictim(kAll), SlotIndex{0});
}

// What it holds, and what the policy under it holds, stay one, whatever comes, goes and is read.
TEST_F(EpochReplacementTest, RandomCallsKeepThePolicyAndTheSlotsInStep) {
  std::mt19937 dice(11);
  std::set<uint32_t> slots;  // that hold something
  std::vector<uint32_t> node_of_slot(40);
  std::set<uint32_t> nodes;
  bool job = false;
  for (int i = 0; i < 20'000; ++i) {
    uint32_t const slot = dice() % 40;
    uint32_t const node = 2 + dice() % (kFileCount + 20);
    unsigned const what = dice() % 100;
    if (what < 40 && !slots.contains(slot) && !nodes.contains(node)) {
      replacement_.OnInsert({slot}, Key(node), kSize);
      slots.insert(slot);
      nodes.insert(node_of_slot[slot] = node);
    } else if (what < 60 && slots.contains(slot)) {
      replacement_.OnRead({slot}, {kWorker});
    } else if (what < 95) {
      auto const victim =
          what < 80 ? replacement_.ChooseVictim(kAll) : replacement_.ChooseSpent(kAll, what < 90);
      if (what < 80) {
        EXPECT_EQ(victim.has_value(), !slots.empty());
      }
      if (!victim) continue;
      ASSERT_TRUE(slots.contains(victim->value));
      replacement_.OnRemove(*victim);
      slots.erase(victim->value);
      nodes.erase(node_of_slot[victim->value]);
    } else if (what == 95) {
      replacement_.Install(dice() % 4 == 0 ? nullptr : Steering());
      job = false;
    } else if (EpochSteering* const steering = replacement_.steering(); steering != nullptr) {
      job ? steering->policy.EndJob({0}) : steering->policy.StartJob({0});
      job = !job;
      steering->jobs_of_thread[kWorker] = job ? 1 : 0;
    }
    if (replacement_.steering() != nullptr) replacement_.steering()->policy.CheckConsistency();
  }
}

}  // namespace
}  // namespace stokefs::cache
