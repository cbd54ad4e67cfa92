#include "hints/cuda_seed_image.h"

#include "hints/cuda_seed_scan_bytes.h"  // bin2c writes it while building

namespace stokefs::hints {

std::span<const std::byte> CudaSeedImage() { return std::as_bytes(std::span(cuda_seed_scan)); }

}  // namespace stokefs::hints
