#include "hints/hypothesis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/hints/shuffled_readers.h"

namespace stokefs::hints {
namespace {

using State = Hypothesis::State;
using testing::LoaderShape;
using testing::ReadsOf;

Hypothesis Guess(uint32_t n, uint32_t seed, uint32_t world, double share_log10 = -5) {
  Candidate const candidate{{OrderKind::kSeeded, n, seed, 0}, world, share_log10};
  return Hypothesis(candidate, Expand(candidate.order));
}

TEST(Hypothesis, IsCertainAfterAHandfulOfReadsAndNeverBeforeFour) {
  std::mt19937 random(1);
  auto hypothesis = Guess(60'000, 3, 1, -0.1);
  auto const reads = ReadsOf(hypothesis.Entries(), {}, random);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(hypothesis.Observe(reads[i].reader, reads[i].index), State::kPending);
  EXPECT_EQ(hypothesis.Observe(reads[3].reader, reads[3].index), State::kCertain);
}

TEST(Hypothesis, WhatItCostToFindMustBeEarned) {
  std::mt19937 random(1);
  for (double const share : {-1.0, -5.0, -11.0}) {
    auto hypothesis = Guess(100, 3, 1, share);
    for (auto const& read : ReadsOf(hypothesis.Entries(), {}, random)) {
      if (hypothesis.Observe(read.reader, read.index) == State::kCertain) break;
    }
    ASSERT_EQ(hypothesis.Now(), State::kCertain);
    // A read of 100 samples says a little less than 2.
    EXPECT_GE(hypothesis.FittingCount(), static_cast<uint64_t>((9 - share) / 2));
    EXPECT_LE(hypothesis.FittingCount(), static_cast<uint64_t>((9 - share) / 2) + 4);
  }
}

TEST(Hypothesis, ATailOfPaddingFits) {
  std::mt19937 random(1);
  uint32_t const n = 100, world = 7;
  for (uint32_t rank = 0; rank < world; ++rank) {
    auto hypothesis = Guess(n, 3, world);
    LoaderShape const shape{.split = {.world = world, .rank = rank}};
    for (auto const& read : ReadsOf(hypothesis.Entries(), shape, random))
      ASSERT_NE(hypothesis.Observe(read.reader, read.index), State::kRefuted)
          << rank << ": " << hypothesis.WhyRefuted();
    EXPECT_EQ(hypothesis.Reached(rank), RankLength(n, shape.split));
    EXPECT_TRUE(hypothesis.NearEnd());
  }
}

TEST(Hypothesis, TheSameSampleAgainIsNoMisfit) {
  auto hypothesis = Guess(1'000, 3, 1);
  for (int i = 0; i < 50; ++i) {
    hypothesis.Observe({1}, hypothesis.Entries()[i]);
    ASSERT_NE(hypothesis.Observe({1}, hypothesis.Entries()[i]), State::kRefuted);
  }
  EXPECT_EQ(hypothesis.Now(), State::kCertain);
}

TEST(Hypothesis, AReaderThatFittedAndGoesBackRefutesIt) {
  auto hypothesis = Guess(1'000, 3, 1);
  for (int i = 0; i < 50; ++i) hypothesis.Observe({1}, hypothesis.Entries()[i]);
  EXPECT_EQ(hypothesis.Observe({1}, hypothesis.Entries()[10]), State::kRefuted);
  EXPECT_NE(hypothesis.WhyRefuted().find("reader 1"), std::string::npos);
}

TEST(Hypothesis, AReadOfAnotherRankRefutesIt) {
  auto hypothesis = Guess(1'000, 3, 4);
  for (int i = 0; i < 50; ++i) hypothesis.Observe({1}, hypothesis.Entries()[4 * i + 2]);
  ASSERT_EQ(hypothesis.Now(), State::kCertain);
  EXPECT_EQ(hypothesis.Observe({1}, hypothesis.Entries()[4 * 50 + 3]), State::kRefuted);
}

TEST(Hypothesis, MostlyOtherReadersRefuteIt) {
  auto hypothesis = Guess(1'000, 3, 1);
  for (int i = 0; i < 20; ++i) hypothesis.Observe({1}, hypothesis.Entries()[i]);
  ASSERT_EQ(hypothesis.Now(), State::kCertain);
  int foreign = 0;
  while (hypothesis.Now() == State::kCertain && foreign < 1'000) {
    hypothesis.Observe({2}, 2'000'000);
    ++foreign;
  }
  EXPECT_EQ(hypothesis.Now(), State::kRefuted);
  EXPECT_GT(foreign, 64);
  EXPECT_LT(foreign, 100);
}

TEST(Hypothesis, ReadsThatKnowNothingOfItHardlyEverSupportIt) {
  // Ville's inequality promises at most a thousandth above 10^3; here by many random orders.
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  int above = 0;
  constexpr int kOrders = 20'000;
  for (int round = 0; round < kOrders; ++round) {
    auto hypothesis = Guess(40, 3, 1 + round % 3, 0);
    Mt19937 other(random());
    other.Skip(50);
    std::vector<uint32_t> order(40);
    for (uint32_t i = 0; i < 40; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    bool high = false;
    for (size_t i = 0; i < 40 && hypothesis.Now() != State::kRefuted; ++i) {
      hypothesis.Observe({uint32_t(i % (1 + round % 2))}, order[i]);
      high = high || hypothesis.EvidenceLog10() >= 3;
    }
    above += high ? 1 : 0;
  }
  EXPECT_LE(above, 3 * kOrders / 1'000);
}

TEST(GapModel, LearnsWhatABatchOfOneWithManyWorkersDoes) {
  GapModel gaps;
  EXPECT_LT(gaps.Log10(12), -3);
  for (int i = 0; i < 9; ++i) gaps.Learn(12);
  EXPECT_GT(gaps.Log10(12), -0.06);
  double sum = 0;
  for (uint64_t gap = 1; gap < 100'000; ++gap) sum += std::pow(10.0, gaps.Log10(gap));
  EXPECT_NEAR(sum, 1, 1e-4);
}

TEST(Evidence, SharesOfWorldsAndStartsSumToOneAtMost) {
  double worlds = 0, starts = 0;
  for (uint32_t world = 1; world <= kWorldMax; ++world)
    worlds += std::pow(10.0, WorldShareLog10(world));
  EXPECT_LE(worlds, 1);
  for (uint32_t place = 0; place < 500; ++place)
    starts += std::pow(10.0, StartGainLog10(500, 8, place)) / 500;
  EXPECT_NEAR(starts, 1, 1e-9);
}

}  // namespace
}  // namespace stokefs::hints
