// What the CUDA seed kernel is given: plain values, read by nvcc and by the host's compiler.
#pragma once

#include <cstdint>

#include "hints/seed_kernel_input.h"

namespace stokefs::hints {

// The kernel's grid: each thread tests kCudaSeedsAThread seeds, side by side.
inline constexpr uint32_t kCudaThreadsABlock = 256;
inline constexpr uint32_t kCudaSeedsAThread = 4;
inline constexpr uint32_t kCudaSeedsABlock = kCudaThreadsABlock * kCudaSeedsAThread;
static_assert(kSeedKernelStep % kCudaSeedsABlock == 0);

// One bit a group: whether all its conditions so far hold.
inline constexpr uint32_t kGroupWords = kFilterGroupsMax / 32;
struct CudaGroups {
  uint32_t words[kGroupWords];
};

// A SeedCondition; without its defaults, because constant memory cannot be constructed.
struct CudaSeedCondition {
  uint32_t window_index;
  uint32_t remainder;
  uint32_t inverse;
  uint32_t rotation;
  uint32_t limit;
  CudaGroups others;  // all bits but the one of this condition's group
};

struct CudaSeedInput {
  CudaGroups groups;  // a bit for each group that there is
  uint32_t condition_count;
  uint32_t first_output;
  uint32_t window_count;
  uint32_t first_seed;
  uint32_t passed_max;  // room for seeds that pass; those beyond it are only counted
};

// In constant memory, in the order of the outputs that they test.
inline constexpr char kCudaConditionsName[] = "cuda_seed_conditions";
// Arguments: CudaSeedInput, uint32_t* passed_count, uint32_t* passed. Grid: kCudaSeedsABlock seeds
// a block of kCudaThreadsABlock threads.
inline constexpr char kCudaKernelName[] = "CudaSeedScan";

}  // namespace stokefs::hints
