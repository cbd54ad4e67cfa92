#include "hints/default_generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "hints/succession.h"

namespace stokefs::hints {
namespace {

TEST(GeneratorScan, FindsAnOutputOfALikelySeedInSteps) {
  auto const wanted = MakeGeneratorPosition(42, 123'457);
  auto before = Mt19937(42);
  before.Skip(123'457);
  GeneratorScan scan(before.Next(), {7, 42, 8}, 200'000);
  std::vector<GeneratorPosition> found;
  int step_count = 1;
  while (scan.Step(10'000, found)) ++step_count;
  ASSERT_NE(std::ranges::find(found, wanted), found.end());
  EXPECT_GT(step_count, 20);
  auto position = *std::ranges::find(found, wanted);
  EXPECT_EQ(position.after.Next(), before.Next());
}

TEST(GeneratorScan, SeesTheFirstOutputOfABlockAndTheLastBeforeTheEnd) {
  for (uint64_t const at : {0u, 623u, 624u, 1247u}) {
    Mt19937 generator(5);
    generator.Skip(at);
    GeneratorScan scan(generator.Next(), {5}, 1'248);
    std::vector<GeneratorPosition> found;
    while (scan.Step(100, found)) {
    }
    ASSERT_EQ(found.size(), 1u) << at;
    EXPECT_EQ(found[0].output, at);
  }
}

TEST(GeneratorScan, LikelySeedsAreEachThereOnce) {
  auto seeds = GeneratorScan::LikelySeeds();
  EXPECT_NE(std::ranges::find(seeds, 42u), seeds.end());
  std::ranges::sort(seeds);
  EXPECT_EQ(std::ranges::adjacent_find(seeds), seeds.end());
}

TEST(DefaultGeneratorSearch, FindsASeedFromWhichNothingElseWasDrawn) {
  auto const wanted = MakeGeneratorPosition(1'000'003, 5);
  Mt19937 generator(1'000'003);
  generator.Skip(5);
  uint32_t const sampler_seed = generator.Next();
  SeedScanner scanner(SeedKernels().front());
  SeedSearch search(DefaultGeneratorFilter(sampler_seed), scanner, {0, 1 << 20});
  std::vector<uint32_t> passed;
  search.Step(1 << 20, passed);
  ASSERT_NE(std::ranges::find(passed, 1'000'003u), passed.end());
  EXPECT_EQ(PositionsIn(1'000'003, sampler_seed), std::vector{wanted});
  EXPECT_TRUE(PositionsIn(1'000'004, sampler_seed).empty());
}

TEST(SeedsAfter, AreEverySecondOutputOnwards) {
  auto const seeds = SeedsAfter(MakeGeneratorPosition(9, 3), 6);
  Mt19937 generator(9);
  std::vector<uint32_t> outputs;
  for (int i = 0; i < 10; ++i) outputs.push_back(generator.Next());
  ASSERT_EQ(seeds.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(seeds[i].gap, 2 * i + 2);
    EXPECT_EQ(seeds[i].seed, outputs[3 + seeds[i].gap]);
  }
}

TEST(Successors, TheConfirmedRuleComesFirstAndNothingTwice) {
  Candidate const known{{OrderKind::kSeeded, 100, 7, 0}, 4, 0};
  for (auto const kind : {SuccessionRule::Kind::kRepeat, SuccessionRule::Kind::kNextSeed}) {
    auto const successors = Successors(known, 1, {}, SuccessionRule{kind});
    EXPECT_EQ(successors.front().rule.kind, kind);
    for (size_t i = 0; i < successors.size(); ++i) {
      EXPECT_EQ(successors[i].candidate.world, 4u);
      for (size_t j = 0; j < i; ++j)
        EXPECT_NE(successors[i].candidate.order, successors[j].candidate.order);
    }
  }
}

TEST(Successors, EpochsThatNobodySawAreSteppedOver) {
  Candidate const loader{{OrderKind::kLoader, 100, 7, 2}, 1, 0};
  auto const stream = Successors(loader, 3, {}, std::nullopt).front();
  EXPECT_EQ(stream.candidate.order.first_output, 2 + 3 * 200u);
  SuccessionRule const rule{.kind = SuccessionRule::Kind::kDefault, .gap = 4};
  std::vector<GeneratorPosition> const positions = {MakeGeneratorPosition(9, 3)};
  Candidate const unseeded{{OrderKind::kDefault, 100, 1, 0}, 1, 0};
  auto const next = Successors(unseeded, 2, positions, rule).front();
  EXPECT_EQ(next.candidate.order.seed, MakeGeneratorPosition(9, 10).after.Next());
}

TEST(Successors, ASeedWrapsAt32Bits) {
  Candidate const known{{OrderKind::kSeeded, 100, UINT32_MAX, 0}, 1, 0};
  auto const next =
      Successors(known, 1, {}, SuccessionRule{SuccessionRule::Kind::kNextSeed}).front();
  EXPECT_EQ(next.candidate.order.seed, 0u);
}

}  // namespace
}  // namespace stokefs::hints
