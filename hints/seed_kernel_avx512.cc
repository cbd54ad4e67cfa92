// The seed search for AVX-512 F and DQ: 16 seeds a vector, 16 chains.
#define STOKEFS_SEED_VECTOR_BYTES 64
#define STOKEFS_SEED_CHAINS 16
#include "hints/seed_kernel_body.h"
#include "hints/seed_kernel_sets.h"

namespace stokefs::hints {

size_t ScanSeedsAvx512(const SeedKernelInput& input, uint32_t* passed) {
  return SeedKernelBody::Scan(input, passed);
}

}  // namespace stokefs::hints
