#include "cache/path_fetcher.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace stokefs::cache {

bool PathFetcher::Fetch(BlockKey key, std::function<void(base::Status)> done) {
  if (auto const lease = memory_.Peek(key)) {
    if (sink_ != nullptr) {
      sink_->OnFetched({.key = key, .bytes = lease->bytes(), .digest = lease->digest()});
    }
    done({});
    return true;
  }
  ReadRequest const request{.node = key.node, .offset = key.index * extent_bytes_, .size_bytes = 1};
  path_.Read(request, [done = std::move(done)](const base::Result<ReadReply>& reply) {
    done(reply ? base::Status() : base::Status(tl::unexpected<base::Error>(reply.error())));
  });
  return true;
}

}  // namespace stokefs::cache
