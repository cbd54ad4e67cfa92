// The inner loop of a search over all seeds, once for each instruction set, chosen at run time.
//
// The price of a seed is its initialisation: 397 dependent steps of shift, xor, multiply, add. A
// lane holds one seed, and several vectors are advanced side by side (chains), because one chain
// alone waits for the multiplier's latency. Kernels are pure functions: thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hints/seed_kernel_input.h"

namespace stokefs::hints {

struct SeedKernel {
  const char* name;
  // Writes the seeds that pass into `passed` (room for seed_count), returns their number.
  size_t (*scan)(const SeedKernelInput& input, uint32_t* passed);
};

// Those that this CPU can run, fastest first; the last is the plain one, which any can.
std::span<const SeedKernel> SeedKernels();

}  // namespace stokefs::hints
