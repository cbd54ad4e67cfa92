// What the read path must know of a node (the catalog answers; a fake in tests).
#pragma once

#include <cstdint>

#include "base/result.h"
#include "cache/ids.h"

namespace stokefs::cache {

class BlockLayout {
 public:
  virtual ~BlockLayout() = default;
  // Size in bytes of a regular file; ENOENT for an unknown node, EISDIR for a folder, EINVAL else.
  virtual base::Result<uint64_t> FileSize(NodeId node) const = 0;
};

}  // namespace stokefs::cache
