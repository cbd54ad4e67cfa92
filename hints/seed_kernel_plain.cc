// The seed search for any CPU: 4 seeds a vector, 8 chains.
#define STOKEFS_SEED_VECTOR_BYTES 16
#define STOKEFS_SEED_CHAINS 8
#include "hints/seed_kernel_body.h"
#include "hints/seed_kernel_sets.h"

namespace stokefs::hints {

size_t ScanSeedsPlain(const SeedKernelInput& input, uint32_t* passed) {
  return SeedKernelBody::Scan(input, passed);
}

}  // namespace stokefs::hints
