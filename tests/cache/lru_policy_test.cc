#include "cache/lru_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>
#include <set>

namespace stokefs::cache {
namespace {

class HoldBack final : public SlotFilter {
 public:
  explicit HoldBack(std::set<uint32_t> held = {}) : held_(std::move(held)) {}
  bool MayGo(SlotIndex slot) const override { return !held_.contains(slot.value); }

 private:
  const std::set<uint32_t> held_;
};

void Insert(LruPolicy& policy, uint32_t slot) { policy.OnInsert({slot}, {NodeId{slot}, 0}, 100); }

TEST(LruPolicy, HasNoVictimWhenNothingIsCached) {
  LruPolicy policy;
  EXPECT_FALSE(policy.ChooseVictim(HoldBack()).has_value());
}

TEST(LruPolicy, TheLongestUnreadGoesFirst) {
  LruPolicy policy;
  for (uint32_t slot : {0, 1, 2}) Insert(policy, slot);
  policy.OnRead({0}, {});
  EXPECT_EQ(policy.ChooseVictim(HoldBack())->value, 1u);
  policy.OnRemove({1});
  EXPECT_EQ(policy.ChooseVictim(HoldBack())->value, 2u);
  policy.OnRemove({2});
  EXPECT_EQ(policy.ChooseVictim(HoldBack())->value, 0u);
}

TEST(LruPolicy, SlotsHeldBackAreSkippedAndKeepTheirPlace) {
  LruPolicy policy;
  for (uint32_t slot : {0, 1, 2}) Insert(policy, slot);
  EXPECT_EQ(policy.ChooseVictim(HoldBack({0}))->value, 1u);
  EXPECT_FALSE(policy.ChooseVictim(HoldBack({0, 1, 2})).has_value());
  EXPECT_EQ(policy.ChooseVictim(HoldBack())->value, 0u);
}

TEST(LruPolicy, FollowsAListOverRandomOperations) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  LruPolicy policy;
  std::list<uint32_t> model;  // coldest first
  for (int step = 0; step < 20'000; ++step) {
    uint32_t const slot = random() % 300;
    auto const at = std::find(model.begin(), model.end(), slot);
    if (at == model.end()) {
      Insert(policy, slot);
      model.push_back(slot);
    } else if (random() % 3 == 0) {
      policy.OnRemove({slot});
      model.erase(at);
    } else {
      policy.OnRead({slot}, {});
      model.splice(model.end(), model, at);
    }
    auto const victim = policy.ChooseVictim(HoldBack());
    ASSERT_EQ(victim.has_value(), !model.empty());
    if (victim) {
      ASSERT_EQ(victim->value, model.front());
    }
  }
}

}  // namespace
}  // namespace stokefs::cache
