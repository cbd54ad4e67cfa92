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
  // `sink` may be null.
  PathFetcher(ReadPath& path, MemoryTier& memory, FetchSink* sink, uint64_t extent_bytes)
      : path_(path), memory_(memory), sink_(sink), extent_bytes_(extent_bytes) {}

  bool Fetch(BlockKey key, std::function<void(base::Status)> done) override;

 private:
  ReadPath& path_;
  MemoryTier& memory_;
  FetchSink* const sink_;
  const uint64_t extent_bytes_;
};

}  // namespace stokefs::cache
