// The blocks of one sample: none of an empty one, one of a small one, else its extents.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cache/ids.h"

namespace stokefs::cache {

struct SampleBlocks {
  NodeId node;
  uint64_t size_bytes = 0;
  uint64_t extent_bytes = 0;

  uint32_t Count() const {
    return static_cast<uint32_t>((size_bytes + extent_bytes - 1) / extent_bytes);
  }
  BlockKey Key(uint32_t index) const { return {node, index}; }
  uint64_t OffsetOf(uint32_t index) const { return index * extent_bytes; }
  uint64_t SizeOf(uint32_t index) const {
    return std::min(extent_bytes, size_bytes - OffsetOf(index));
  }
};

}  // namespace stokefs::cache
