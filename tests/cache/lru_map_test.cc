#include "cache/lru_map.h"

#include <gtest/gtest.h>

#include <memory>

namespace stokefs::cache {
namespace {

TEST(LruMap, BeyondTheBudgetTheLongestUnusedGoesFirst) {
  LruMap<int, int> map(3);
  for (int key : {1, 2, 3}) map.Put(key, std::make_shared<int>(key), 1);
  EXPECT_EQ(*map.Find(1), 1);  // used again: 2 is the oldest now
  map.Put(4, std::make_shared<int>(4), 1);
  EXPECT_EQ(map.Find(2), nullptr);
  EXPECT_NE(map.Find(1), nullptr);
  map.Put(5, std::make_shared<int>(5), 3);  // takes everyone's room
  EXPECT_EQ(map.Count(), 1u);
  EXPECT_EQ(*map.Find(5), 5);
}

TEST(LruMap, OneValueAboveTheBudgetStaysUntilTheNext) {
  LruMap<int, int> map(3);
  map.Put(1, std::make_shared<int>(1), 100);
  EXPECT_NE(map.Find(1), nullptr);
  map.Put(2, std::make_shared<int>(2), 1);
  EXPECT_EQ(map.Find(1), nullptr);
  EXPECT_NE(map.Find(2), nullptr);
}

TEST(LruMap, AReplacedOrDroppedValueLivesWhileItIsHeld) {
  LruMap<int, int> map(3);
  map.Put(1, std::make_shared<int>(10), 2);
  auto const held = map.Find(1);
  map.Put(1, std::make_shared<int>(11), 2);
  EXPECT_EQ(*held, 10);
  EXPECT_EQ(*map.Find(1), 11);
  EXPECT_EQ(map.Count(), 1u);
  map.Drop(1);
  map.Drop(1);
  EXPECT_EQ(map.Find(1), nullptr);
  map.Put(2, std::make_shared<int>(2), 3);  // the dropped one's weight is free again
  EXPECT_NE(map.Find(2), nullptr);
}

}  // namespace
}  // namespace stokefs::cache
