// Scans ranges of seeds: with the accelerator that it was given, until that fails, then with the
// CPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hints/seed_accelerator.h"
#include "hints/seed_filter.h"
#include "hints/seed_kernel.h"

namespace stokefs::hints {

// Not thread-safe.
class SeedScanner {
 public:
  // `accelerator` outlives this; null: there is none.
  explicit SeedScanner(const SeedKernel& kernel, SeedAccelerator* accelerator = nullptr);

  // Seeds that take about 10 ms.
  uint64_t SeedsASlice() const;
  // Appends the seeds that pass, in order. Both ends of the range are multiples of kSeedKernelStep.
  void Scan(const SeedFilter& filter, SeedRange range, std::vector<uint32_t>& passed);

  // Why the accelerator is used no more; empty: it is, or there was none.
  const std::string& WhyOnCpu() const { return why_on_cpu_; }

 private:
  void ScanOnCpu(const SeedFilter& filter, SeedRange range, std::vector<uint32_t>& passed);

  const SeedKernel& kernel_;
  SeedAccelerator* accelerator_;
  std::string why_on_cpu_;
  std::vector<uint32_t> found_;  // room for what passes in one call of the kernel
};

}  // namespace stokefs::hints
