#include "cache/read_ahead.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "cache/read_parts.h"

namespace stokefs::cache {
namespace {

// More than all walks and streams together keep ahead; the oldest then count as wasted.
constexpr size_t kWishedCountMax = 32768;

}  // namespace

ReadAhead::ReadAhead(Options options, const SampleOrder& order, const BlockLayout& layout,
                     Prefetch prefetch, const base::Clock& clock)
    : options_(options),
      layout_(layout),
      prefetch_(std::move(prefetch)),
      clock_(clock),
      walks_({.extent_bytes = options_.extent_bytes, .window_bytes_max = options_.memory_bytes / 8},
             order),
      streams_({.extent_bytes = options_.extent_bytes, .all_bytes_max = options_.memory_bytes / 8},
               layout) {}

void ReadAhead::OnReads(std::span<const ReadEvent> events) {
  NoteEnded();
  NoteWasted(clock_.Now());
  std::vector<BlockKey> wishes;
  auto const add = [&wishes](const std::vector<BlockKey>& more) {
    wishes.insert(wishes.end(), more.begin(), more.end());
  };
  for (ReadEvent const& event : events) {
    if (event.size_bytes == 0) continue;
    NoteRead(event);
    bool const from_memory = event.tier == Tier::kMemory || event.tier == Tier::kGpu;
    if (event.offset == 0) add(walks_.OnFirstRead({event.node, event.reader, from_memory}));
    add(streams_.OnRead(event));
  }
  Ask(wishes);
}

void ReadAhead::OnIdle() {
  NoteEnded();
  NoteWasted(clock_.Now());
}

void ReadAhead::NoteRead(const ReadEvent& event) {
  if (unread_.empty()) return;
  uint64_t const last = (event.offset + event.size_bytes - 1) / options_.extent_bytes;
  for (uint64_t i = event.offset / options_.extent_bytes; i <= last; ++i) {
    if (Forget({event.node, static_cast<uint32_t>(i)})) statistics_.used.Add();
  }
}

// Of what did not come because of a wish nothing is expected.
void ReadAhead::NoteEnded() {
  std::vector<Ended> ended;
  {
    base::MutexLock lock(mu_);
    ended.swap(ended_);
  }
  for (Ended const& end : ended) {
    if (!end.brought) Forget(end.key);
  }
}

void ReadAhead::NoteWasted(base::TimePoint now) {
  while (!wished_.empty()) {
    bool const is_unread = unread_.contains(wished_.front().key);
    bool const is_due =
        now - wished_.front().when >= options_.wasted_after || wished_.size() > kWishedCountMax;
    if (is_unread && !is_due) return;
    if (Forget(wished_.front().key)) statistics_.wasted.Add();
    wished_.pop_front();
  }
}

// Asks for as much as the limits leave; the rest is not asked for again.
void ReadAhead::Ask(const std::vector<BlockKey>& wishes) {
  if (wishes.empty()) return;
  size_t count_max = 0;
  {
    base::MutexLock lock(mu_);
    count_max = options_.under_way_max - std::min(options_.under_way_max, under_way_count_);
  }
  base::TimePoint const now = clock_.Now();
  std::vector<BlockKey> keys;
  for (BlockKey const key : wishes) {
    if (keys.size() >= count_max || unread_bytes_ > options_.memory_bytes / 4) break;
    if (unread_.contains(key)) continue;
    Remember(key, now);
    keys.push_back(key);
  }
  {
    base::MutexLock lock(mu_);
    under_way_count_ += keys.size();
  }
  // What ends before Prefetch returns, on this thread, was in memory.
  auto const is_asking = std::make_shared<std::atomic<bool>>(true);
  auto const ended = [this, is_asking, asker = std::this_thread::get_id()](BlockKey key,
                                                                           base::Status status) {
    bool const was_here = is_asking->load() && std::this_thread::get_id() == asker;
    bool const brought = status && !was_here;
    if (brought) statistics_.prefetched.Add();
    base::MutexLock lock(mu_);
    --under_way_count_;
    ended_.push_back({key, brought});
  };
  size_t const taken_count = prefetch_(keys, RoomRule::kMayEvict, ended);
  is_asking->store(false);
  for (size_t i = taken_count; i < keys.size(); ++i) Forget(keys[i]);
  base::MutexLock lock(mu_);
  under_way_count_ -= keys.size() - taken_count;
}

void ReadAhead::Remember(BlockKey key, base::TimePoint now) {
  base::Result<uint64_t> const file_bytes = layout_.FileSize(key.node);
  uint64_t const bytes = file_bytes ? BlockBytes(*file_bytes, key.index, options_.extent_bytes) : 0;
  unread_.emplace(key, bytes);
  wished_.push_back({key, now});
  unread_bytes_ += bytes;
}

bool ReadAhead::Forget(BlockKey key) {
  auto const found = unread_.find(key);
  if (found == unread_.end()) return false;
  unread_bytes_ -= found->second;
  unread_.erase(found);
  return true;
}

}  // namespace stokefs::cache
