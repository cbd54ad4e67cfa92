#include <algorithm>
#include <optional>
#include <utility>

#include "cache/read_path_impl.h"

namespace stokefs::cache {

// A block that somebody wants fetched ahead, as far as it can be judged without the lock.
struct ReadPath::Impl::Wish {
  FetchOrder order;
  std::optional<base::Status> verdict;  // set: nothing is to be fetched
};

size_t ReadPath::Impl::Prefetch(std::span<const BlockKey> keys, RoomRule rule, PrefetchDone done) {
  keys = keys.first(std::min(keys.size(), options_.prefetch_count_max));
  std::vector<Wish> wishes;
  wishes.reserve(keys.size());
  for (BlockKey const key : keys) wishes.push_back(MakeWish(key, rule));
  auto const listener =
      std::make_shared<const std::function<void(BlockKey, base::Status)>>(std::move(done));
  Effects effects;
  size_t taken_count = 0;
  {
    base::MutexLock lock(mu_);
    if (ended_.load(std::memory_order_relaxed) != 0) return 0;
    base::TimePoint const now = clock_.Now();
    while (taken_count < wishes.size() && TakeWish(wishes[taken_count], listener, now, effects)) {
      ++taken_count;
    }
    Settle(effects, now);
  }
  Perform(std::move(effects));
  return taken_count;
}

ReadPath::Impl::Wish ReadPath::Impl::MakeWish(BlockKey key, RoomRule rule) const {
  Wish wish;
  wish.order = {.key = key, .priority = FetchPriority::kBackground, .room_rule = rule};
  base::Result<uint64_t> const file_bytes = layout_.FileSize(key.node);
  if (!file_bytes) {
    wish.verdict = tl::unexpected(file_bytes.error());
    return wish;
  }
  wish.order.size_bytes = BlockBytes(*file_bytes, key.index, options_.extent_bytes);
  if (wish.order.size_bytes == 0) {
    wish.verdict = base::Fail(std::errc::invalid_argument, "the file ends before the block");
  } else if (memory_.Peek(key)) {
    wish.verdict = base::Status();
  } else {
    wish.order.first_source = sources_.FirstHolder(key);
  }
  return wish;
}

// False when the queue is full.
bool ReadPath::Impl::TakeWish(const Wish& wish, const FetchListener& listener, base::TimePoint now,
                              Effects& effects) {
  BlockKey const key = wish.order.key;
  std::optional<base::Status> verdict = wish.verdict;
  FetchTable::Presence const presence = fetches_.Find(key);
  if (!verdict && presence == FetchTable::Presence::kOverdue) {
    verdict = base::Fail(std::errc::timed_out, "the block is overdue");
  }
  bool const is_unknown = !verdict && presence == FetchTable::Presence::kNone;
  if (is_unknown && memory_.Peek(key)) verdict = base::Status();  // came since it was looked for
  if (verdict) {
    effects.told.push_back({listener, key, std::move(*verdict)});
    return true;
  }
  if (fetches_.ListenerCount() >= options_.prefetch_count_max) return false;
  if (presence == FetchTable::Presence::kNone) fetches_.Start(wish.order, now);
  fetches_.Listen(key, listener);
  return true;
}

}  // namespace stokefs::cache
