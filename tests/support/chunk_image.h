// A chunk file's bytes as the writer makes them, with blocks whose bytes follow from a seed.
#pragma once

#include <cstring>
#include <random>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "cache/chunk_format.h"
#include "cache/digest.h"

namespace stokefs::testing {

struct ChunkImage {
  cache::ChunkHead head;
  base::AlignedBuffer buffer;

  std::span<const std::byte> bytes() const { return buffer.bytes(); }
  std::span<const std::byte> Block(const cache::ChunkEntry& entry) const {
    return bytes().subspan(entry.offset, entry.size_bytes);
  }
};

inline ChunkImage MakeChunkImage(uint64_t seed, const std::vector<uint32_t>& block_sizes) {
  std::mt19937_64 random(seed);
  ChunkImage image;
  image.head.dataset = 1;
  image.head.layout = 2;
  for (uint32_t size : block_sizes) {
    image.head.entries.push_back(
        {.sample = {random(), random()}, .size_bytes = size, .tag = random()});
  }
  STOKEFS_CHECK(cache::PlacePayload(image.head).has_value());
  image.buffer = base::AlignedBuffer(image.head.file_bytes);
  std::span<std::byte> const bytes = image.buffer.bytes();
  std::memset(bytes.data(), 0, bytes.size());
  for (cache::ChunkEntry& entry : image.head.entries) {
    auto const block = bytes.subspan(entry.offset, entry.size_bytes);
    for (std::byte& byte : block) byte = static_cast<std::byte>(random());
    entry.digest = cache::DigestOf(block);
  }
  std::string const head = cache::EncodeChunkHead(image.head);
  std::memcpy(bytes.data(), head.data(), head.size());
  return image;
}

}  // namespace stokefs::testing
