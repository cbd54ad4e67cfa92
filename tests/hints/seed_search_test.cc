#include "hints/seed_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "hints/mt19937.h"

namespace stokefs::hints {
namespace {

using Groups = std::vector<std::vector<OutputRemainder>>;

bool Passes(uint32_t seed, const Groups& groups) {
  Mt19937 generator(seed);
  std::vector<uint32_t> outputs;
  for (int i = 0; i < 227; ++i) outputs.push_back(generator.Next());
  return std::ranges::any_of(groups, [&](auto& group) {
    return std::ranges::all_of(group, [&](const OutputRemainder& wanted) {
      return outputs[wanted.output] % wanted.modulus == wanted.remainder;
    });
  });
}

std::vector<uint32_t> Search(const Groups& groups, const SeedKernel& kernel,
                             SeedSearch::Range range) {
  SeedScanner scanner(kernel);
  SeedSearch search(SeedFilter(groups), scanner, range);
  std::vector<uint32_t> passed;
  while (!search.Done()) search.Step(5'000, passed);
  return passed;
}

TEST(SeedSearch, EveryKernelPassesAllThatHoldAndHardlyMore) {
  unsigned const random_seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(random_seed));
  std::mt19937 random(random_seed);
  for (int round = 0; round < 40; ++round) {
    Groups groups(1 + random() % 5);
    uint32_t const first = random() % 150, size = 1 + random() % 3;
    for (auto& group : groups) {
      for (uint32_t i = 0; i < size; ++i) {
        uint64_t const modulus = 1 + random() % (round % 2 == 0 ? 8 : 4'000'000'000);
        group.push_back({first + uint32_t(random() % 60), uint32_t(random() % modulus), modulus});
      }
    }
    // Something that holds for sure.
    uint64_t const begin = uint64_t{random() % 4'000'000} * 1024;
    SeedSearch::Range const range{begin, begin + 4'096};
    uint32_t const lucky = static_cast<uint32_t>(begin + random() % 4'096);
    std::vector<uint32_t> outputs(227);
    Mt19937::FirstOutputs(lucky, outputs);
    for (auto& wanted : groups.back())
      wanted.remainder = static_cast<uint32_t>(outputs[wanted.output] % wanted.modulus);

    std::vector<uint32_t> model;
    for (uint64_t seed = range.begin; seed < range.end; ++seed) {
      if (Passes(static_cast<uint32_t>(seed), groups)) model.push_back(static_cast<uint32_t>(seed));
    }
    ASSERT_TRUE(std::ranges::binary_search(model, lucky));
    auto const plain = Search(groups, SeedKernels().back(), range);
    ASSERT_TRUE(std::ranges::includes(plain, model));
    for (auto const& kernel : SeedKernels())
      ASSERT_EQ(Search(groups, kernel, range), plain) << kernel.name;
  }
}

TEST(SeedSearch, AWholeOutputIsARemainderToo) {
  for (auto const& kernel : SeedKernels()) {
    Mt19937 generator(123'456);
    generator.Skip(3);
    Groups const groups = {{{3, generator.Next(), uint64_t{1} << 32}}};
    EXPECT_EQ(Search(groups, kernel, {0, 1 << 18}), std::vector<uint32_t>{123'456}) << kernel.name;
  }
}

TEST(SeedSearch, GoesToTheLastSeedAndNoFurther) {
  Mt19937 generator(UINT32_MAX);
  Groups const groups = {{{0, generator.Next(), uint64_t{1} << 32}}};
  for (auto const& kernel : SeedKernels()) {
    SeedScanner scanner(kernel);
    SeedSearch search(SeedFilter(groups), scanner, {.begin = (uint64_t{1} << 32) - 5'000});
    std::vector<uint32_t> passed;
    search.Step(UINT64_MAX / 2, passed);
    EXPECT_TRUE(search.Done());
    EXPECT_EQ(search.LeftCount(), 0u);
    EXPECT_EQ(passed, std::vector<uint32_t>{UINT32_MAX}) << kernel.name;
  }
}

TEST(SeedSearch, ProgressIsCountedInSeeds) {
  SeedScanner scanner(SeedKernels().back());
  SeedSearch search(SeedFilter({{{0, 1, 1'000'000}}}), scanner, {0, 10'000});
  std::vector<uint32_t> passed;
  search.Step(1, passed);
  EXPECT_EQ(search.TestedCount(), kSeedKernelStep);
  EXPECT_EQ(search.LeftCount(), 9 * kSeedKernelStep);
  EXPECT_FALSE(search.Done());
}

TEST(SeedKernels, ThePlainOneIsAlwaysThere) {
  ASSERT_FALSE(SeedKernels().empty());
  EXPECT_EQ(std::string(SeedKernels().back().name), "plain");
}

}  // namespace
}  // namespace stokefs::hints
