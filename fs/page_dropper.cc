#include "fs/page_dropper.h"

#include <unordered_set>
#include <utility>

namespace stokefs::fs {
namespace {

// Readers come and go with every epoch's workers. When so many were seen, all are let go of: each
// costs one sample its drop at most.
constexpr size_t kReadersMax = 4096;
// Samples that were being read again when their turn came. Beyond this the oldest stay cached.
constexpr size_t kDueMax = 4096;

// A reader that asked for nothing this long has copied what it asked for, or has ended.
constexpr base::Duration kIdle = std::chrono::seconds(2);

}  // namespace

PageDropper::PageDropper(cache::KernelCache& kernel, const ReadsInFlight& in_flight,
                         std::function<bool()> wanted)
    : kernel_(kernel), in_flight_(in_flight), wanted_(std::move(wanted)) {}

void PageDropper::OnReads(std::span<const cache::ReadEvent> events) {
  if (!wanted_()) {
    by_reader_.clear();
    due_.clear();
    return;
  }
  for (const cache::ReadEvent& event : events) {
    Reading& reading = by_reader_[event.reader.thread_id];
    if (reading.node != event.node) {
      Leave(reading);
      reading = {.node = event.node};
    }
    reading.last = event.when;
    reading.whole = reading.whole || event.whole_end;
  }
  if (by_reader_.size() > kReadersMax) {
    for (const auto& [thread_id, reading] : by_reader_) Leave(reading);
    by_reader_.clear();
  }
  if (!events.empty()) LeaveIdle(events.back().when);
  DropDue();
}

// Nobody asked for anything for a while, so each reader has what it asked for.
void PageDropper::OnIdle() {
  if (by_reader_.empty() && due_.empty()) return;
  if (wanted_()) {
    for (const auto& [thread_id, reading] : by_reader_) Leave(reading);
  } else {
    due_.clear();
  }
  by_reader_.clear();
  DropDue();
}

void PageDropper::LeaveIdle(base::TimePoint now) {
  std::erase_if(by_reader_, [this, now](const auto& entry) {
    if (now - entry.second.last < kIdle) return false;
    Leave(entry.second);
    return true;
  });
}

void PageDropper::Leave(const Reading& reading) {
  if (!reading.whole) return;
  if (due_.size() >= kDueMax) due_.erase(due_.begin());
  due_.push_back(reading.node);
}

void PageDropper::DropDue() {
  if (due_.empty()) return;
  // Another reader that is on a sample now will leave it later, and it is dropped then.
  std::unordered_set<uint32_t> being_read;
  for (const auto& [thread_id, reading] : by_reader_) being_read.insert(reading.node.value);
  std::erase_if(due_, [&](cache::NodeId node) {
    if (being_read.contains(node.value)) return true;
    if (in_flight_.Any(node)) return false;
    if (kernel_.Drop(node)) dropped_count_.Add();
    return true;
  });
}

}  // namespace stokefs::fs
