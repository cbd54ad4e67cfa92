// A place that bytes are fetched from: disk tier, peers, origin. The read path asks them in order.
//
// A source is asked for many blocks at a time and may be slow or hang. It answers each item once,
// on a thread of its own; inside `Fetch` only to refuse it (EAGAIN) or because it has no such block
// (ENOENT, of any source but the origin: the next one is asked). It may answer after the
// deadline, even much later: the memory behind `into` stays valid until it has answered, whatever
// became of the read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/ids.h"

namespace stokefs::cache {

enum class FetchPriority : uint8_t {
  kDemand,      // a reader waits
  kBackground,  // nobody waits: served when there is nothing else to do
};

struct FetchItem {
  BlockKey key;
  std::span<std::byte> into;  // exactly the block's length
  base::TimePoint deadline;   // past it nobody waits for this item: it need not be started any more
  FetchPriority priority = FetchPriority::kDemand;
  uint64_t* digest = nullptr;  // where a source that knows the bytes' digest puts it, before `done`
  // ok: `into` holds the block's bytes, whole, of the node's version, and their digest was checked
  // where the source knows one. Errors: ESTALE the node's version is gone from the source (it
  // changed); ENOENT it was removed; ETIMEDOUT not started before its deadline; else the source's.
  std::function<void(base::Status)> done;
};

class ChunkSource {
 public:
  virtual ~ChunkSource() = default;
  virtual Tier tier() const = 0;
  // Whether it is worth asking for `key`: a hint that spares a detour, cheap and never blocking. A
  // source that says yes may still answer ENOENT.
  virtual bool Holds(BlockKey) const { return true; }
  // Does not block. Items that cannot be queued are answered EAGAIN, here or later.
  virtual void Fetch(std::vector<FetchItem> items) = 0;
};

}  // namespace stokefs::cache
