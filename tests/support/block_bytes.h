// Bytes that tell which block they belong to, so that any mix of two blocks is seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "cache/ids.h"

namespace stokefs::testing {

// Byte `offset` of the block: a word of the hash of (key, salt, offset / 8). `salt` tells versions
// of one block apart.
inline std::byte BlockByte(cache::BlockKey key, uint64_t offset, uint64_t salt = 0) {
  uint64_t x = cache::BlockKeyHash()(key) + salt * 0xD1B54A32D192ED03u + offset / 8;
  x = (x ^ (x >> 31)) * 0x9E3779B97F4A7C15u;
  x ^= x >> 29;
  return static_cast<std::byte>(x >> (offset % 8 * 8));
}

inline void FillBlock(std::span<std::byte> bytes, cache::BlockKey key, uint64_t salt = 0) {
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = BlockByte(key, i, salt);
}

inline bool HoldsBlock(std::span<const std::byte> bytes, cache::BlockKey key, uint64_t salt = 0) {
  for (size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] != BlockByte(key, i, salt)) return false;
  return true;
}

}  // namespace stokefs::testing
