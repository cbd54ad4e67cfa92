// A device that searches seeds faster than a core does (a GPU: cuda_seed_accelerator.h). The owner
// of a Recogniser opens one and hands it in; hints/ itself needs none.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "hints/seed_filter.h"

namespace stokefs::hints {

struct SeedRange {
  uint64_t begin = 0;
  uint64_t end = uint64_t{1} << 32;
};

// Not thread-safe: one caller at a time, of any thread.
class SeedAccelerator {
 public:
  virtual ~SeedAccelerator() = default;
  // Seeds that take it about 10 ms.
  virtual uint64_t SeedsASlice() const = 0;
  // Appends the seeds that pass, in order: the CPU kernels' answer, seed for seed. Both ends of the
  // range are multiples of kSeedKernelStep. Any error: nothing was appended, and the device is not
  // worth another try.
  virtual base::Status Scan(const SeedFilter& filter, SeedRange range,
                            std::vector<uint32_t>& passed) = 0;
};

}  // namespace stokefs::hints
