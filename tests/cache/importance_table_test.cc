#include "cache/importance_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace stokefs::cache {
namespace {

uint64_t BytesKept(const ImportanceTable& table, const ImportanceTable::Cut& cut,
                   const DatasetShape& shape) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < shape.sample_count(); ++i)
    if (table.Keeps(cut, {i})) bytes += shape.SizeOf({i});
  return bytes;
}

TEST(ImportanceTable, WithNothingToldAFairShareIsKept) {
  auto const shape = DatasetShape::Even({.sample_count = 100'000, .chunk_samples = 128});
  ImportanceTable table(shape);
  auto const kept = BytesKept(table, table.CutFor(20'000), shape);
  EXPECT_NEAR(static_cast<double>(kept), 20'000, 100);
}

TEST(ImportanceTable, KeepsNearlyAsMuchImportanceAsTheBestSetDoes) {
  auto const shape = DatasetShape::Even({.sample_count = 50'000, .chunk_samples = 128});
  ImportanceTable table(shape);
  std::mt19937 random(7);
  std::vector<double> values(shape.sample_count());
  for (uint32_t i = 0; i < values.size(); ++i) {
    values[i] = std::exponential_distribution<>()(random);
    table.Set({i}, values[i]);
  }
  auto const cut = table.CutFor(10'000);
  EXPECT_LE(BytesKept(table, cut, shape), 10'100u);
  double kept = 0;
  for (uint32_t i = 0; i < values.size(); ++i)
    if (table.Keeps(cut, {i})) kept += values[i];
  std::sort(values.rbegin(), values.rend());
  EXPECT_GT(kept, 0.99 * std::accumulate(values.begin(), values.begin() + 10'000, 0.0));
}

TEST(ImportanceTable, OfTwoEquallyReadSamplesTheSmallerIsWorthMore) {
  DatasetShape const shape(std::vector<uint32_t>{2}, {400, 100});
  ImportanceTable table(shape);
  auto const cut = table.CutFor(100);
  EXPECT_TRUE(table.Keeps(cut, {1}));
  EXPECT_FALSE(table.Keeps(cut, {0}));
}

TEST(ImportanceTable, WhatIsNeverReadIsNeverKept) {
  auto const shape = DatasetShape::Even({.sample_count = 4, .chunk_samples = 4});
  ImportanceTable table(shape);
  table.Set({2}, 0);
  auto const cut = table.CutFor(1000);
  EXPECT_FALSE(table.Keeps(cut, {2}));
  EXPECT_TRUE(table.Keeps(cut, {3}));
}

TEST(ImportanceTable, ChangesAreCountedUntilACutIsMade) {
  auto const shape = DatasetShape::Even({.sample_count = 4, .chunk_samples = 4});
  ImportanceTable table(shape);
  table.Set({0}, 1.001);  // the same bucket
  EXPECT_EQ(table.changed_count(), 0u);
  table.Set({0}, 2);
  EXPECT_EQ(table.changed_count(), 1u);
  table.CutFor(2);
  EXPECT_EQ(table.changed_count(), 0u);
}

TEST(ImportanceTable, TheExtremesAreKeptApartFromTheRest) {
  auto const shape = DatasetShape::Even({.sample_count = 3, .chunk_samples = 3});
  ImportanceTable table(shape);
  table.Set({0}, 1e300);
  table.Set({1}, 1e-300);
  auto const one = table.CutFor(1);
  EXPECT_TRUE(table.Keeps(one, {0}));
  EXPECT_FALSE(table.Keeps(one, {2}));
  auto const two = table.CutFor(2);
  EXPECT_TRUE(table.Keeps(two, {2}));
  EXPECT_FALSE(table.Keeps(two, {1}));
}

}  // namespace
}  // namespace stokefs::cache
