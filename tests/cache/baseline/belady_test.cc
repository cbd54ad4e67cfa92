#include "cache/baseline/belady.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/support/policy_memory.h"

namespace stokefs::cache::baseline {
namespace {

using stokefs::testing::HoldBackSamples;
using stokefs::testing::PolicyMemory;

class WrittenFuture final : public FutureReads {
 public:
  explicit WrittenFuture(std::vector<uint32_t> reads) : reads_(std::move(reads)) {}
  uint64_t ReadCount() const override { return reads_.size(); }
  SampleIndex SampleAt(uint64_t position) const override { return {reads_[position]}; }
  uint64_t NextUse() const override { return NextAfter(now, reads_[now]); }
  uint64_t NextAfter(uint64_t position, uint32_t sample) const {
    for (uint64_t i = position + 1; i < reads_.size(); ++i)
      if (reads_[i] == sample) return i;
    return reads_.size();
  }

  uint64_t now = 0;

 private:
  const std::vector<uint32_t> reads_;
};

TEST(NumberSet, FindsTheLargestLikeASetDoes) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (uint64_t const bound : {1u, 63u, 64u, 65u, 4096u, 300'000u}) {
    NumberSet numbers(bound);
    std::set<uint64_t> model;
    for (int step = 0; step < 3'000; ++step) {
      uint64_t const number = random() % bound;
      if (random() % 2 == 0) {
        numbers.Insert(number);
        model.insert(number);
      } else {
        uint64_t const gone = model.empty() ? number : *model.rbegin();
        numbers.Erase(gone);
        model.erase(gone);
      }
      uint64_t const limit = random() % bound;
      auto const above = model.upper_bound(limit);
      auto const found = numbers.LargestUpTo(limit);
      ASSERT_EQ(found.has_value(), above != model.begin()) << bound;
      if (found) {
        ASSERT_EQ(*found, *std::prev(above)) << bound;
      }
    }
  }
}

TEST(BeladyBaseline, HitsAsOftenAsTheNaiveRuleThatLooksThroughTheFuture) {
  std::mt19937 random(5);
  std::vector<uint32_t> reads(3'000);
  for (uint32_t& read : reads) read = std::min(random() % 60, random() % 60);
  WrittenFuture future(reads);
  auto const shape = DatasetShape::Even({.sample_count = 60, .chunk_samples = 6});
  Belady policy(shape, {.capacity_samples = 20}, future);
  PolicyMemory memory(shape, 20, policy);
  std::set<uint32_t> model;
  int hits = 0, model_hits = 0;
  for (future.now = 0; future.now < reads.size(); ++future.now) {
    uint32_t const sample = reads[future.now];
    hits += memory.Read(sample) ? 1 : 0;
    if (model.contains(sample)) {
      ++model_hits;
      continue;
    }
    model.insert(sample);
    if (model.size() <= 20) continue;
    model.erase(*std::max_element(model.begin(), model.end(), [&](uint32_t a, uint32_t b) {
      return future.NextAfter(future.now, a) < future.NextAfter(future.now, b);
    }));
  }
  EXPECT_EQ(hits, model_hits);
}

TEST(BeladyBaseline, WhatIsNeverReadAgainGoesFirstAndHeldBackSamplesArePassedOver) {
  WrittenFuture future({0, 1, 2, 1, 2});
  auto const shape = DatasetShape::Even({.sample_count = 3, .chunk_samples = 3});
  Belady policy(shape, {.capacity_samples = 3}, future);
  for (future.now = 0; future.now < 3; ++future.now) {
    policy.OnMiss(future.SampleAt(future.now), {0});
    policy.OnInsert(future.SampleAt(future.now));
  }
  EXPECT_EQ(policy.ChooseVictim(HoldBackSamples())->value, 0u);
  EXPECT_EQ(policy.ChooseVictim(HoldBackSamples({0}))->value, 2u);
  EXPECT_FALSE(policy.ChooseVictim(HoldBackSamples({0, 1, 2})).has_value());
}

}  // namespace
}  // namespace stokefs::cache::baseline
