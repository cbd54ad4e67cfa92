#include "hints/randperm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace stokefs::hints {
namespace {

// The steps of a permutation: where each swapped its entry with.
std::vector<uint32_t> Targets(uint32_t seed, uint32_t n, uint32_t step_count) {
  Mt19937 generator(seed);
  DrawTable const table(n, step_count);
  std::vector<uint32_t> targets;
  for (uint32_t i = 0; i < step_count; ++i) targets.push_back(i + table.Draw(i, generator.Next()));
  return targets;
}

TEST(Randperm, HasEachIndexOnce) {
  for (uint32_t const n : {0u, 1u, 2u, 3u, 1'000u}) {
    Mt19937 generator(n);
    auto entries = Randperm(generator, n);
    std::ranges::sort(entries);
    ASSERT_EQ(entries.size(), n);
    for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(entries[i], i);
  }
}

TEST(Randperm, TheNextPermutationBeginsRightAfterTheLastDraw) {
  Mt19937 generator(5), skipped(5);
  Randperm(generator, 100);
  skipped.Skip(99);
  EXPECT_EQ(Randperm(generator, 100), Randperm(skipped, 100));
}

TEST(DrawTable, IsTheRemainder) {
  std::mt19937 random(3);
  for (uint32_t const n : {1u, 2u, 31u, 32u, 60'000u, kRandpermCountMax - 1}) {
    uint32_t const step_count = std::min(n, 500u);
    DrawTable const table(n, step_count);
    for (uint32_t i = 0; i < step_count; ++i) {
      for (uint32_t const output : {0u, n - 1, n, UINT32_MAX, uint32_t(random())})
        ASSERT_EQ(table.Draw(i, output), output % (n - i)) << n << " " << i << " " << output;
    }
  }
}

TEST(Landing, IsWhereThePermutationHasTheValue) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    uint32_t const n = 1 + random() % 200, step_count = random() % n;
    Mt19937 generator(seed + round);
    auto const entries = Randperm(generator, n);
    auto const targets = Targets(seed + round, n, step_count);
    for (uint32_t value = 0; value < n; ++value) {
      auto const place = static_cast<uint32_t>(std::ranges::find(entries, value) - entries.begin());
      auto const landed = Landing(value, targets);
      ASSERT_EQ(landed.has_value(), place < step_count) << "value " << value << " of " << n;
      if (landed) {
        ASSERT_EQ(*landed, place);
      }
    }
  }
}

TEST(DrawsOfPrefix, AreThoseThatMadeIt) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    uint32_t const n = 1 + random() % 100, step_count = random() % n;
    Mt19937 generator(seed + round);
    auto const entries = Randperm(generator, n);
    auto const targets = Targets(seed + round, n, step_count);
    auto const draws = DrawsOfPrefix(n, std::span(entries).first(step_count));
    ASSERT_TRUE(draws);
    for (uint32_t i = 0; i < step_count; ++i) ASSERT_EQ(i + (*draws)[i], targets[i]) << i;
  }
}

TEST(DrawsOfPrefix, ThereAreNoneForWhatNoPermutationBeginsWith) {
  auto const draws = [](std::vector<uint32_t> values) { return DrawsOfPrefix(4, values); };
  EXPECT_TRUE(draws({3, 2, 1, 0}));
  EXPECT_FALSE(draws({1, 1}));
  EXPECT_FALSE(draws({0, 3, 0}));
  EXPECT_FALSE(draws({4}));
  EXPECT_FALSE(draws({UINT32_MAX}));
  EXPECT_FALSE(draws({0, 1, 2, 3, 0}));
}

TEST(Randperm, AnEntryAboveItsPlaceTellsItsDraw) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Mt19937 generator(seed);
    auto const entries = Randperm(generator, 300);
    auto const targets = Targets(seed, 300, 299);
    for (uint32_t p = 0; p < 299; ++p) {
      if (entries[p] >= p) {
        ASSERT_EQ(targets[p], entries[p]) << "seed " << seed << " " << p;
      }
    }
  }
}

}  // namespace
}  // namespace stokefs::hints
