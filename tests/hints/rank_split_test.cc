#include "hints/rank_split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace stokefs::hints {
namespace {

std::vector<uint32_t> Order(uint32_t n) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 100u);
  return order;
}

TEST(RankSplit, RanksOfOneWorldReadEachSampleOnceWithoutATail) {
  for (uint32_t const n : {1u, 7u, 8u, 9u, 100u}) {
    for (uint32_t const world : {1u, 2u, 3u, 8u}) {
      std::vector<uint32_t> all;
      for (uint32_t rank = 0; rank < world; ++rank) {
        auto const part = RankSequence(Order(n), {world, rank, true});
        all.insert(all.end(), part.begin(), part.end());
      }
      std::ranges::sort(all);
      EXPECT_EQ(all, Order(n / world * world)) << n << " " << world;
    }
  }
}

TEST(RankSplit, PaddingBeginsTheOrderAgainAsOftenAsNeeded) {
  EXPECT_EQ(RankSequence(Order(5), {3, 0, false}), (std::vector<uint32_t>{100, 103}));
  EXPECT_EQ(RankSequence(Order(5), {3, 2, false}), (std::vector<uint32_t>{102, 100}));
  EXPECT_EQ(RankSequence(Order(2), {7, 6, false}), (std::vector<uint32_t>{100}));
  EXPECT_EQ(RankSequence(Order(2), {7, 5, false}), (std::vector<uint32_t>{101}));
}

TEST(RankSplit, NoSamplesGiveNoSequence) {
  EXPECT_TRUE(RankSequence({}, {3, 1, false}).empty());
  EXPECT_EQ(RankLength(2, {3, 1, true}), 0u);
  EXPECT_EQ(RankLength(UINT32_MAX, {1024, 1, false}), 1u << 22);
}

}  // namespace
}  // namespace stokefs::hints
