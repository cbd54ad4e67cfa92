// The host's side of the CUDA search on any machine, against a driver of our own.
#include "hints/cuda_seed_accelerator.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "hints/seed_scanner.h"
#include "tests/hints/fake_cuda_driver.h"

namespace stokefs::hints {
namespace {

using testing::FakeCudaDriver;

constexpr std::array<std::byte, 8> kImage{};
constexpr SeedRange kSomeSeeds{4'000'000 * uint64_t{kSeedKernelStep},
                               4'000'008 * uint64_t{kSeedKernelStep}};

SeedFilter SomeFilter() { return SeedFilter({{{5, 7, 90}, {2, 1, 3}}, {{9, 1, 2}, {3, 2, 3}}}); }

std::vector<uint32_t> OnCpu(const SeedFilter& filter, SeedRange range) {
  SeedScanner scanner(SeedKernels().front());
  std::vector<uint32_t> passed;
  scanner.Scan(filter, range, passed);
  return passed;
}

class CudaSeedAcceleratorTest : public ::testing::Test {
 protected:
  ~CudaSeedAcceleratorTest() override { EXPECT_EQ(driver_.HeldCount(), 0); }

  base::Result<std::unique_ptr<CudaSeedAccelerator>> Open(uint32_t passed_max) {
    return CudaSeedAccelerator::Open(
        {.passed_max = passed_max, .driver = driver_.Table(), .image = kImage});
  }

  FakeCudaDriver driver_;
};

TEST_F(CudaSeedAcceleratorTest, AnswersAsTheCpuDoes) {
  auto const opened = Open(1 << 20);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->DeviceName(), "a fake");
  auto const expected = OnCpu(SomeFilter(), kSomeSeeds);
  ASSERT_GT(expected.size(), 100u);
  std::vector<uint32_t> passed = {99};
  ASSERT_TRUE((*opened)->Scan(SomeFilter(), kSomeSeeds, passed));
  EXPECT_EQ(passed[0], 99u) << "appended";
  passed.erase(passed.begin());
  EXPECT_EQ(passed, expected);
  EXPECT_EQ(driver_.LaunchCount(), 1u);
  EXPECT_EQ(driver_.HeldCount(), 5) << "no context is left current";
}

TEST_F(CudaSeedAcceleratorTest, NoLaunchIsLongerThanASlice) {
  auto const opened = Open(1 << 20);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->SeedsASlice(), uint64_t{1} << 20);
  std::vector<uint32_t> passed;
  SeedRange const range{(uint64_t{1} << 32) - (uint64_t{1} << 20) - kSeedKernelStep,
                        uint64_t{1} << 32};
  auto const filter = SeedFilter({{{0, 1, 100'000}}});
  ASSERT_TRUE((*opened)->Scan(filter, range, passed));
  EXPECT_EQ(passed, OnCpu(filter, range));
  EXPECT_EQ(driver_.LaunchCount(), 2u);
}

TEST_F(CudaSeedAcceleratorTest, MoreThanThereIsRoomForIsSearchedInHalves) {
  auto const opened = Open(kSeedKernelStep);
  ASSERT_TRUE(opened) << opened.error().message;
  SeedFilter const all_pass({{{0, 0, 1}}});
  SeedRange const range{0, uint64_t{7} * kSeedKernelStep};
  std::vector<uint32_t> passed;
  ASSERT_TRUE((*opened)->Scan(all_pass, range, passed));
  ASSERT_EQ(passed.size(), range.end);
  EXPECT_EQ(passed, OnCpu(all_pass, range));
  EXPECT_EQ(driver_.LaunchCount(), 2u + 7u);  // 7 and 3 steps are too many
}

TEST_F(CudaSeedAcceleratorTest, WhateverCallFailsTheCpuGivesTheSameAnswer) {
  auto const expected = OnCpu(SomeFilter(), kSomeSeeds);
  uint32_t failed_opens = 0, failed_scans = 0;
  for (uint64_t call = 0;; ++call) {
    SCOPED_TRACE("call " + std::to_string(call) + " fails");
    driver_.FailFrom(call);
    auto const opened = Open(kSeedKernelStep);  // overflows once
    if (!opened) {
      ++failed_opens;
      EXPECT_NE(opened.error().message.find("CUDA_ERROR_LAUNCH_FAILED (719)"), std::string::npos)
          << opened.error().message;
      EXPECT_EQ(opened.error().code, std::errc::io_error);
      ASSERT_EQ(driver_.HeldCount(), 0);
      continue;
    }
    SeedScanner scanner(SeedKernels().front(), opened->get());
    std::vector<uint32_t> passed;
    scanner.Scan(SomeFilter(), kSomeSeeds, passed);
    ASSERT_EQ(passed, expected);
    if (scanner.WhyOnCpu().empty()) break;
    ++failed_scans;
    EXPECT_EQ(scanner.WhyOnCpu().find("a fake: cu"), 0u) << scanner.WhyOnCpu();
    uint64_t const calls_before = driver_.CallCount();
    EXPECT_FALSE((*opened)->Scan(SomeFilter(), kSomeSeeds, passed));
    EXPECT_EQ(driver_.CallCount(), calls_before) << "a broken device is not asked again";
    EXPECT_EQ(passed, expected);
  }
  EXPECT_EQ(failed_opens, 11u);
  EXPECT_GT(failed_scans, 10u);
}

TEST_F(CudaSeedAcceleratorTest, ACountThatCannotBeIsAnError) {
  auto const opened = Open(1 << 20);
  ASSERT_TRUE(opened) << opened.error().message;
  driver_.CountWrong();
  std::vector<uint32_t> passed;
  auto const scanned = (*opened)->Scan(SomeFilter(), kSomeSeeds, passed);
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().message, "a fake: more seeds passed than were tested");
}

TEST(CudaSeedAccelerator, SaysThatItWasBuiltWithoutCuda) {
  auto const opened = CudaSeedAccelerator::Open({.image = {}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, "built without CUDA");
  EXPECT_EQ(opened.error().code, std::errc::no_such_device);
}

}  // namespace
}  // namespace stokefs::hints
