// Asks the sources for what the fetch table has decided to ask.
//
// A source may answer inside its Fetch (it has no such block, or is busy). Such an answer starts
// the next ask, whose source may answer inside Fetch again, as often as there are blocks that
// wait: so these answers are not passed on under way but returned, and the stack stays flat.
// Thread-safe: nothing is shared but what a source's answers carry.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "cache/chunk_source.h"
#include "cache/fetch_table.h"
#include "cache/ids.h"

namespace stokefs::cache {

struct SourceAnswer {
  std::shared_ptr<FetchTry> answered;
  base::Status status;
};

class SourceCalls {
 public:
  // The sources outlive this, in the order in which they are asked; at least one.
  explicit SourceCalls(std::vector<ChunkSource*> sources);

  size_t Count() const { return sources_.size(); }
  Tier TierOf(size_t source_index) const { return sources_[source_index]->tier(); }

  // The first source that says it holds `key`; the last one is not asked.
  size_t FirstHolder(BlockKey key) const;

  // Hands each try to its source. Returns the answers that were given meanwhile on this thread;
  // `later` is called with each other one, on the source's thread.
  std::vector<SourceAnswer> Ask(std::vector<std::shared_ptr<FetchTry>> tries,
                                const std::function<void(SourceAnswer)>& later) const;

 private:
  const std::vector<ChunkSource*> sources_;
};

}  // namespace stokefs::cache
