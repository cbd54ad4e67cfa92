// What the kernel holds of us, steered: pages pushed and dropped, names forgotten (fs implements
// it).
//
// Each call may block for as long as a READ of the same node is in flight, so it is made only from
// threads that hold nothing a READ needs: never from a FUSE handler, never under a lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "cache/ids.h"

namespace stokefs::cache {

class KernelCache {
 public:
  virtual ~KernelCache() = default;
  // Puts bytes of a node into the page cache. The kernel must have looked the node up before
  // (ENOENT else). Success is no proof that the pages stay.
  virtual base::Status Push(NodeId node, uint64_t offset, std::span<const std::byte> bytes) = 0;
  // Forgets the pages (and attributes) of a file, or the cached listing of a folder.
  virtual base::Status Drop(NodeId node) = 0;
  // Forgets what `name` in `folder` meant, also that it did not exist.
  virtual base::Status DropName(NodeId folder, std::string_view name) = 0;
};

}  // namespace stokefs::cache
