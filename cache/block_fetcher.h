// Brings blocks into the tiers without a reader (the read path; a fake in tests).
#pragma once

#include <functional>

#include "base/result.h"
#include "cache/ids.h"

namespace stokefs::cache {

class BlockFetcher {
 public:
  virtual ~BlockFetcher() = default;
  // Does not block. `done` is called once, on any thread, maybe inside this call and maybe much
  // later: ok when the block is in memory and was offered to the disk tier, else what the last
  // source said. Readers' fetches go first.
  virtual void Fetch(BlockKey key, std::function<void(base::Status)> done) = 0;
};

}  // namespace stokefs::cache
