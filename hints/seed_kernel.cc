#include "hints/seed_kernel.h"

#include "hints/seed_kernel_sets.h"

namespace stokefs::hints {

std::span<const SeedKernel> SeedKernels() {
  static constexpr SeedKernel kFastestFirst[] = {
#if defined(__x86_64__)
    {"avx512", ScanSeedsAvx512},
    {"avx2", ScanSeedsAvx2},
#endif
    {"plain", ScanSeedsPlain},
  };
  std::span<const SeedKernel> const all(kFastestFirst);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return all;
  if (__builtin_cpu_supports("avx2")) return all.subspan(1);
  return all.subspan(2);
#else
  return all;
#endif
}

}  // namespace stokefs::hints
