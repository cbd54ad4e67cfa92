// The kernels by instruction set. Call one only where SeedKernels() lists it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hints/seed_kernel_input.h"

namespace stokefs::hints {

size_t ScanSeedsPlain(const SeedKernelInput& input, uint32_t* passed);
size_t ScanSeedsAvx2(const SeedKernelInput& input, uint32_t* passed);
size_t ScanSeedsAvx512(const SeedKernelInput& input, uint32_t* passed);

}  // namespace stokefs::hints
