// Brings blocks into the tiers without a reader (the read path; a fake in tests).
#pragma once

#include <functional>

#include "base/result.h"
#include "cache/ids.h"

namespace stokefs::cache {

class BlockFetcher {
 public:
  virtual ~BlockFetcher() = default;
  // False: too much is under way already, ask again later; `done` is then never called. Does not
  // block. `done` is called once, on any thread, maybe inside this call and maybe much later: ok
  // when the block is in memory and was offered to the disk tier, ENOMEM when memory has no room
  // for it, else what the last source said. Readers' fetches go first.
  virtual bool Fetch(BlockKey key, std::function<void(base::Status)> done) = 0;
};

}  // namespace stokefs::cache
