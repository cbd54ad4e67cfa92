// In place of cuda_seed_image.cc where there is no nvcc.
#include "hints/cuda_seed_image.h"

namespace stokefs::hints {

std::span<const std::byte> CudaSeedImage() { return {}; }

}  // namespace stokefs::hints
