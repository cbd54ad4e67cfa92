#include "cache/source_calls.h"

#include <atomic>
#include <thread>
#include <utility>

#include "base/check.h"

namespace stokefs::cache {
namespace {

// One call of Ask. `answers` is its thread's; others only learn that they are others.
struct Asking {
  const std::thread::id thread = std::this_thread::get_id();
  // Atomic: a thread that is started later may bear the same id.
  std::atomic<bool> under_way{true};
  std::vector<SourceAnswer> answers;

  bool IsInside() const { return under_way.load() && std::this_thread::get_id() == thread; }
};

}  // namespace

SourceCalls::SourceCalls(std::vector<ChunkSource*> sources) : sources_(std::move(sources)) {
  STOKEFS_CHECK(!sources_.empty());
}

size_t SourceCalls::FirstHolder(BlockKey key) const {
  size_t index = 0;
  while (index + 1 < sources_.size() && !sources_[index]->Holds(key)) ++index;
  return index;
}

std::vector<SourceAnswer> SourceCalls::Ask(std::vector<std::shared_ptr<FetchTry>> tries,
                                           const std::function<void(SourceAnswer)>& later) const {
  if (tries.empty()) return {};
  auto const asking = std::make_shared<Asking>();
  std::vector<FetchItem> items;
  for (size_t i = 0; i < sources_.size(); ++i) {
    for (std::shared_ptr<FetchTry> const& ask : tries) {
      if (ask->charge.source_index != i) continue;
      items.push_back({.key = ask->key,
                       .into = ask->room.bytes(),
                       .deadline = ask->deadline,
                       .priority = ask->charge.priority,
                       .digest = &ask->digest,
                       .done = [asking, ask, later](base::Status status) {
                         SourceAnswer answer{ask, std::move(status)};
                         if (asking->IsInside()) {
                           asking->answers.push_back(std::move(answer));
                         } else {
                           later(std::move(answer));
                         }
                       }});
    }
    if (!items.empty()) sources_[i]->Fetch(std::exchange(items, {}));
  }
  asking->under_way.store(false);
  return std::move(asking->answers);
}

}  // namespace stokefs::cache
