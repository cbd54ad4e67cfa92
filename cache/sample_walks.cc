#include "cache/sample_walks.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace stokefs::cache {
namespace {

constexpr size_t kRecentCount = 64;
// Files that were passed over (they are in the kernel's cache, or their reader is slow) stay ahead
// until a reader is as far beyond them as the window reaches, or as many readers may be apart.
constexpr size_t kApartCount = 64;

}  // namespace

SampleWalks::SampleWalks(Options options, const SampleOrder& order)
    : options_(options), order_(order) {}

std::vector<BlockKey> SampleWalks::OnFirstRead(const FirstRead& read) {
  CountReader(read.reader);
  Place run = FindFollowed(read.node);
  if (run == runs_.end()) {
    if (read.from_memory) return {};
    runs_.push_front({.first = read.node, .tail = read.node, .length = 1});
    run = runs_.begin();
    by_first_[read.node.value] = run;
  } else {
    Extend(*run, read.node);
    runs_.splice(runs_.begin(), runs_, run);
  }
  run->extended_at = read_count_;
  if (run->ahead.empty()) LookAhead(run, 1);
  std::vector<BlockKey> wishes;
  if (IsWalk(*run)) wishes = Wish(run);
  if (runs_.size() > options_.run_count_max) Forget(std::prev(runs_.end()));
  return wishes;
}

void SampleWalks::CountReader(ReaderId reader) {
  ++read_count_;
  recent_readers_.push_back(reader.thread_id);
  ++reader_counts_[reader.thread_id];
  if (recent_readers_.size() <= kRecentCount) return;
  auto const oldest = reader_counts_.find(recent_readers_.front());
  if (--oldest->second == 0) reader_counts_.erase(oldest);
  recent_readers_.pop_front();
}

size_t SampleWalks::WindowOf(const Run& run) const {
  return std::clamp(run.length, options_.window_min, options_.window_max);
}

bool SampleWalks::IsFresh(const Run& run) const {
  size_t const apart_count = std::min(2 * reader_counts_.size(), kRecentCount);
  return IsWalk(run) || read_count_ - run.extended_at <= apart_count;
}

// The run that `node` follows; runs_.end() when there is none.
SampleWalks::Place SampleWalks::FindFollowed(NodeId node) {
  auto const found = by_ahead_.find(node.value);
  if (found == by_ahead_.end()) return runs_.end();
  if (IsFresh(*found->second)) return found->second;
  Forget(found->second);
  return runs_.end();
}

void SampleWalks::Extend(Run& run, NodeId node) {
  auto const at = std::find_if(run.ahead.begin(), run.ahead.end(),
                               [&](Ahead const& ahead) { return ahead.sample.node == node; });
  if (at->read) return;  // by somebody else before
  at->read = true;
  --run.unread_count;
  run.unread_bytes -= WishedBytes(at->sample);
  ++run.length;
  auto passed_count = static_cast<size_t>(at - run.ahead.begin());
  size_t const apart_count = std::max(WindowOf(run), kApartCount);
  for (; passed_count > apart_count; --passed_count) PopAhead(run);
  while (!run.ahead.empty() && run.ahead.front().read) PopAhead(run);
}

void SampleWalks::PopAhead(Run& run) {
  Ahead const& front = run.ahead.front();
  if (!front.read) {
    --run.unread_count;
    run.unread_bytes -= WishedBytes(front.sample);
  }
  by_ahead_.erase(front.sample.node.value);
  run.ahead.pop_front();
}

// Lets `run` know the next `count` files, or fewer at the end of what is known or of the limit.
void SampleWalks::LookAhead(Place run, size_t count) {
  for (OrderedSample const& sample : order_.SamplesAfter(run->tail, count)) {
    bool const is_enough = run->unread_count > 0 &&
                           run->unread_bytes + WishedBytes(sample) > options_.window_bytes_max;
    if (is_enough) return;
    auto const read_there = by_first_.find(sample.node.value);
    auto const ahead_there = by_ahead_.find(sample.node.value);
    Place other = runs_.end();
    if (read_there != by_first_.end()) other = read_there->second;
    if (ahead_there != by_ahead_.end()) other = ahead_there->second;
    if (other == run) return;  // once around, after a change of the dataset
    if (other == runs_.end()) {
      Append(run, sample);
    } else if (IsFresh(*other)) {
      Join(run, other, sample.node);
      return;
    } else {
      Forget(other);
      Append(run, sample);
    }
  }
}

void SampleWalks::Append(Place run, const OrderedSample& sample) {
  run->ahead.push_back({.sample = sample});
  run->tail = sample.node;
  run->has_unwished = true;
  ++run->unread_count;
  run->unread_bytes += WishedBytes(sample);
  by_ahead_[sample.node.value] = run;
}

// `run` has come to where `other` starts, or to `from`, which is ahead of `other`.
void SampleWalks::Join(Place run, Place other, NodeId from) {
  if (other->first != from) {
    while (other->ahead.front().sample.node != from) PopAhead(*other);
  }
  for (Ahead const& ahead : other->ahead) {
    run->ahead.push_back(ahead);
    by_ahead_[ahead.sample.node.value] = run;
  }
  run->has_unwished = run->has_unwished || other->has_unwished;
  run->unread_count += other->unread_count;
  run->unread_bytes += other->unread_bytes;
  run->tail = other->tail;
  run->length += other->length;
  other->ahead.clear();
  Forget(other);
  while (!run->ahead.empty() && run->ahead.front().read) PopAhead(*run);
}

std::vector<BlockKey> SampleWalks::Wish(Place run) {
  size_t const window = WindowOf(*run);
  // A few at a time: sources like batches, and each look into the catalog costs the same.
  bool const is_full = run->unread_count + std::max<size_t>(1, window / 8) > window ||
                       run->unread_bytes > options_.window_bytes_max / 8 * 7;
  for (NodeId before; !is_full && before != run->tail && run->unread_count < window;) {
    before = run->tail;
    LookAhead(run, window - run->unread_count);
  }
  if (!std::exchange(run->has_unwished, false)) return {};
  std::vector<BlockKey> wishes;
  for (Ahead& ahead : run->ahead) {
    if (!ahead.wished && !ahead.read) wishes.push_back({ahead.sample.node, 0});
    ahead.wished = true;
  }
  return wishes;
}

uint64_t SampleWalks::WishedBytes(const OrderedSample& sample) const {
  return std::min(sample.size_bytes, options_.extent_bytes);
}

void SampleWalks::Forget(Place run) {
  auto const by_first = by_first_.find(run->first.value);
  if (by_first != by_first_.end() && by_first->second == run) by_first_.erase(by_first);
  while (!run->ahead.empty()) PopAhead(*run);
  runs_.erase(run);
}

}  // namespace stokefs::cache
