// The CUDA seed kernel as nvcc made it: machine code for some GPUs, PTX for newer ones.
#pragma once

#include <cstddef>
#include <span>

namespace stokefs::hints {

// Empty: built without CUDA (meson's option `cuda`).
std::span<const std::byte> CudaSeedImage();

}  // namespace stokefs::hints
