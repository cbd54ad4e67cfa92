// One digest a block of bytes, XXH3-64, checked wherever bytes enter a tier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace stokefs::cache {

uint64_t DigestOf(std::span<const std::byte> bytes);

}  // namespace stokefs::cache
