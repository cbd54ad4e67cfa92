#include "hints/seed_scanner.h"

#include <gtest/gtest.h>

#include <vector>

#include "hints/seed_search.h"
#include "tests/hints/fake_seed_accelerator.h"

namespace stokefs::hints {
namespace {

using testing::FakeSeedAccelerator;

constexpr SeedSearch::Range kSomeSeeds{uint64_t{10'000} * kSeedKernelStep,
                                       uint64_t{10'400} * kSeedKernelStep};

std::vector<uint32_t> Search(SeedScanner& scanner) {
  SeedSearch search(SeedFilter({{{2, 17, 1'000}}, {{0, 5, 600}}}), scanner, kSomeSeeds);
  std::vector<uint32_t> passed;
  while (!search.Done()) search.Step(passed);
  EXPECT_EQ(search.TestedCount(), kSomeSeeds.end - kSomeSeeds.begin);
  return passed;
}

TEST(SeedScanner, TakesTheAcceleratorAndItsSlices) {
  FakeSeedAccelerator accelerator(100);
  SeedScanner scanner(SeedKernels().front(), &accelerator);
  EXPECT_EQ(scanner.SeedsASlice(), accelerator.SeedsASlice());
  Search(scanner);
  EXPECT_EQ(accelerator.ScanCount(), 7u);  // slices of 64 steps in 400
  EXPECT_EQ(scanner.WhyOnCpu(), "");
}

TEST(SeedScanner, TheCpuGoesOnWhereTheAcceleratorFailed) {
  SeedScanner cpu(SeedKernels().front());
  auto const expected = Search(cpu);
  ASSERT_GT(expected.size(), 500u);
  for (uint64_t const scans_max : {0u, 1u, 3u, 6u}) {
    FakeSeedAccelerator accelerator(scans_max);
    SeedScanner scanner(SeedKernels().front(), &accelerator);
    EXPECT_EQ(Search(scanner), expected) << scans_max;
    EXPECT_EQ(scanner.WhyOnCpu(), "the device fell off");
    EXPECT_EQ(scanner.SeedsASlice(), cpu.SeedsASlice());
    EXPECT_EQ(accelerator.ScanCount(), scans_max + 1) << "it is not asked again";
  }
}

}  // namespace
}  // namespace stokefs::hints
