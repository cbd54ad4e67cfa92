#include "cache/ids.h"

#include <xxhash.h>

#include "cache/digest.h"

namespace stokefs::cache {

SampleId MakeSampleId(std::string_view path) {
  XXH128_hash_t const hash = XXH3_128bits(path.data(), path.size());
  return {.high = hash.high64, .low = hash.low64};
}

uint64_t DigestOf(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace stokefs::cache
