// Background fetches through the read path.
#pragma once

#include "cache/block_fetcher.h"
#include "cache/fetch_sink.h"
#include "cache/memory_tier.h"
#include "cache/read_path.h"

namespace stokefs::cache {

// A block that is in memory already is offered to the sink from there. All outlive this.
class PathFetcher final : public BlockFetcher {
 public:
  // Without a `sink` memory is where blocks are to stay: then none goes for another.
  PathFetcher(ReadPath& path, MemoryTier& memory, FetchSink* sink)
      : path_(path), memory_(memory), sink_(sink) {}

  bool Fetch(BlockKey key, std::function<void(base::Status)> done) override;

 private:
  ReadPath& path_;
  MemoryTier& memory_;
  FetchSink* const sink_;
};

}  // namespace stokefs::cache
