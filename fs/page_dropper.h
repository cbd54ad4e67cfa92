// page_cache=drop: a sample that was read whole leaves the kernel's page cache, so that the next
// epoch's first read of it is seen, and memory is the daemon's to steer.
//
// The kernel reads ahead: the READ that reaches a file's end comes before the reader has copied the
// pages out. So a sample is dropped when its reader has moved on to another one, or was idle.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "cache/kernel_cache.h"
#include "cache/read_event.h"
#include "fs/reads_in_flight.h"

namespace stokefs::fs {

// Runs on the thread of its event queue alone.
class PageDropper final : public cache::ReadObserver {
 public:
  // `wanted` says whether to drop at present; asked once for each batch of events.
  PageDropper(cache::KernelCache& kernel, const ReadsInFlight& in_flight,
              std::function<bool()> wanted);

  void OnReads(std::span<const cache::ReadEvent> events) override;
  void OnIdle() override;

  uint64_t DroppedCount() const { return dropped_count_.Value(); }

 private:
  struct Reading {
    cache::NodeId node;
    bool whole = false;  // read to its end
    base::TimePoint last{};
  };
  void Leave(const Reading& reading);
  void LeaveIdle(base::TimePoint now);
  void DropDue();

  cache::KernelCache& kernel_;
  const ReadsInFlight& in_flight_;
  const std::function<bool()> wanted_;
  std::unordered_map<uint32_t, Reading> by_reader_;  // at most kReadersMax
  std::vector<cache::NodeId> due_;                   // at most kDueMax
  base::Counter dropped_count_;
};

}  // namespace stokefs::fs
