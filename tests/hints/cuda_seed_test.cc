// The CUDA search on a GPU: the same answers as the CPU's kernels on the same inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "hints/cuda_seed_accelerator.h"
#include "hints/default_generator.h"
#include "hints/mt19937.h"
#include "hints/seed_scanner.h"

namespace stokefs::hints {
namespace {

using Groups = std::vector<std::vector<OutputRemainder>>;

constexpr uint64_t kAllSeeds = uint64_t{1} << 32;

class CudaSeedTest : public ::testing::Test {
 protected:
  CudaSeedTest() : random_seed_(std::random_device()()), random_(random_seed_) {}

  void SetUp() override {
    Open(CudaSeedAccelerator::Options().passed_max);
    if (!gpu_) GTEST_SKIP() << why_not_;
    std::cout << gpu_->DeviceName() << ", random seed " << random_seed_ << "\n";
  }

  void Open(uint32_t passed_max) {
    gpu_.reset();
    auto opened = CudaSeedAccelerator::Open({.passed_max = passed_max});
    if (opened) {
      gpu_ = std::move(*opened);
    } else {
      why_not_ = opened.error().message;
    }
  }

  uint32_t Between(uint32_t low, uint32_t high) { return low + random_() % (high - low + 1); }

  Groups SomeGroups(uint32_t group_count, uint32_t group_size, uint32_t first, uint32_t window) {
    Groups groups(group_count);
    for (auto& group : groups) {
      for (uint32_t i = 0; i < group_size; ++i) {
        uint64_t modulus = Between(1, Between(0, 1) == 0 ? 16 : UINT32_MAX);
        if (Between(0, 9) == 0) modulus = kAllSeeds;
        group.push_back({first + Between(0, window - 1), uint32_t(random_() % modulus), modulus});
      }
    }
    return groups;
  }

  // A seed of the range passes for sure: the last group tells its outputs.
  void MakePass(uint32_t seed, std::vector<OutputRemainder>& group) {
    std::vector<uint32_t> outputs(227);
    Mt19937::FirstOutputs(seed, outputs);
    for (auto& wanted : group)
      wanted.remainder = static_cast<uint32_t>(outputs[wanted.output] % wanted.modulus);
  }

  // Returns how many pass.
  size_t ExpectSame(const SeedFilter& filter, SeedRange range, const SeedKernel& kernel) {
    std::vector<uint32_t> expected, passed;
    SeedScanner cpu(kernel);
    cpu.Scan(filter, range, expected);
    auto const scanned = gpu_->Scan(filter, range, passed);
    EXPECT_TRUE(scanned) << scanned.error().message;
    EXPECT_TRUE(passed == expected)
        << kernel.name << ": " << passed.size() << " pass, not " << expected.size();
    return expected.size();
  }

  const unsigned random_seed_;
  std::mt19937 random_;
  std::unique_ptr<CudaSeedAccelerator> gpu_;
  std::string why_not_;
};

TEST_F(CudaSeedTest, AnswersAsEachKernelOfTheCpu) {
  size_t passed_count = 0;
  for (int round = 0; round < 300; ++round) {
    uint32_t const window = round % 4 == 0 ? kFilterWindowMax : Between(1, kFilterWindowMax);
    uint32_t const first = round % 3 == 0 ? 2 * Between(0, 1) : Between(0, 226 - window);
    uint32_t const group_count = round % 5 == 0 ? kFilterGroupsMax : Between(1, 40);
    uint32_t const group_size = round % 7 == 0 ? kFilterConditionsMax / group_count : Between(1, 8);
    uint32_t const steps = Between(1, 24), last_step = (kAllSeeds / kSeedKernelStep) - steps;
    uint64_t begin = uint64_t{Between(0, last_step)};
    if (round % 6 == 1) begin = 0;
    if (round % 6 == 2) begin = last_step;
    SeedRange const range{begin * kSeedKernelStep, (begin + steps) * kSeedKernelStep};
    auto groups = SomeGroups(group_count, group_size, first, window);
    MakePass(static_cast<uint32_t>(range.begin + random_() % (range.end - range.begin)),
             groups.back());
    SCOPED_TRACE(::testing::Message() << "round " << round << ": " << group_count << " groups of "
                                      << group_size << " in " << window << " outputs from " << first
                                      << ", seeds " << range.begin << " to " << range.end);
    for (auto const& kernel : SeedKernels())
      passed_count += ExpectSame(SeedFilter(groups), range, kernel);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GE(passed_count, 300u);
}

TEST_F(CudaSeedTest, AnswersAsTheCpuOverSeveralSlices) {
  uint64_t const step_count = gpu_->SeedsASlice() / kSeedKernelStep;
  // Two slices and a bit at either end of the seeds, as the recogniser asks.
  uint64_t const length = (2 * step_count + 3) * kSeedKernelStep;
  Groups const groups = {{{0, 17, 60'000}}, {{2, 18, 60'000}}, {{0, 59'999, 60'000}}};
  auto const& fastest = SeedKernels().front();
  EXPECT_GT(ExpectSame(SeedFilter(groups), {0, length}, fastest), 0u);
  EXPECT_GT(ExpectSame(SeedFilter(groups), {kAllSeeds - length, kAllSeeds}, fastest), 0u);
}

TEST_F(CudaSeedTest, MoreThanThereIsRoomForIsNotLost) {
  auto const& fastest = SeedKernels().front();
  for (uint32_t const passed_max : {kSeedKernelStep, 5'000u, 100'000u}) {
    Open(passed_max);
    ASSERT_TRUE(gpu_) << why_not_;
    SeedRange const range{kAllSeeds - uint64_t{700} * kSeedKernelStep, kAllSeeds};
    EXPECT_EQ(ExpectSame(SeedFilter({{{0, 0, 1}}}), range, fastest), 700 * kSeedKernelStep);
    EXPECT_GT(ExpectSame(SeedFilter({{{2, 1, 3}}}), range, fastest), 200 * kSeedKernelStep);
  }
}

TEST_F(CudaSeedTest, AllSeedsAreSearchedAndTheOneWantedIsFound) {
  for (uint32_t const seed : {0u, 1'234'567'890u, UINT32_MAX}) {
    auto const wanted = MakeGeneratorPosition(seed, 5);
    Mt19937 generator(seed);
    generator.Skip(5);
    uint32_t const sampler_seed = generator.Next();
    std::vector<uint32_t> passed;
    auto const scanned = gpu_->Scan(DefaultGeneratorFilter(sampler_seed), SeedRange(), passed);
    ASSERT_TRUE(scanned) << scanned.error().message;
    EXPECT_TRUE(std::ranges::is_sorted(passed));
    EXPECT_TRUE(std::ranges::binary_search(passed, seed));
    EXPECT_LT(passed.size(), 40u);  // four by chance
    for (uint32_t const each : passed) EXPECT_FALSE(PositionsIn(each, sampler_seed).empty());
    EXPECT_EQ(PositionsIn(seed, sampler_seed), std::vector{wanted});
  }
}

}  // namespace
}  // namespace stokefs::hints
