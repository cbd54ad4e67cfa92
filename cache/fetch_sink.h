// Who keeps what the origin gave (the disk tier; a fake in tests).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cache/ids.h"

namespace stokefs::cache {

struct FetchedBlock {
  BlockKey key;
  std::span<const std::byte> bytes;  // valid during the call only
  uint64_t digest = 0;
  Tier tier = Tier::kOrigin;  // that it came from
};

class FetchSink {
 public:
  virtual ~FetchSink() = default;
  // A source brought a block. Called on the source's thread before the block's readers are
  // answered, no lock held; must not block.
  virtual void OnFetched(const FetchedBlock& block) = 0;
  // True while no more should be fetched from the origin, because what was fetched could not be
  // kept. Asked often, also under the read path's lock: an atomic look, nothing else.
  virtual bool WantsPause() const = 0;
};

}  // namespace stokefs::cache
