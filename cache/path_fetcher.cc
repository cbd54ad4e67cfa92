#include "cache/path_fetcher.h"

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
  RoomRule const rule = sink_ == nullptr ? RoomRule::kFreeRoom : RoomRule::kMayEvict;
  auto const told = [done = std::move(done)](BlockKey, base::Status status) {
    done(std::move(status));
  };
  return path_.Prefetch({&key, 1}, rule, told) == 1;
}

}  // namespace stokefs::cache
