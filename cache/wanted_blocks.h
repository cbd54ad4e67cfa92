// Which blocks the dataset has at present (the catalog knows; a fake in tests): what the disk tier
// holds beside them will never be asked for again.
#pragma once

#include <cstdint>
#include <functional>

#include "cache/ids.h"

namespace stokefs::cache {

class WantedBlocks {
 public:
  virtual ~WantedBlocks() = default;
  // Another number whenever the blocks may be others; 0 while they are not all known.
  virtual uint64_t Version() const = 0;
  // Visits all; what changes meanwhile may be visited or not. May take seconds.
  virtual void Visit(const std::function<void(BlockKey)>& visit) const = 0;
};

}  // namespace stokefs::cache
