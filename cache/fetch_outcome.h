// What goes into the fetch table and what comes out of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/chunk_source.h"
#include "cache/fetch_budgets.h"
#include "cache/ids.h"
#include "cache/memory_tier.h"

namespace stokefs::cache {

// Who waits for a block: part `part` of parked read `ticket`.
struct FetchWaiter {
  uint64_t ticket = 0;
  uint32_t part = 0;
};

// Who only wants to know what became of a fetch; called once.
using FetchListener = std::shared_ptr<const std::function<void(BlockKey, base::Status)>>;

// One asking of one source for one block. Lives until its source has answered.
struct FetchTry {
  const uint64_t fetch_serial;  // the fetch it was made for; that may be gone or another by now
  const BlockKey key;
  const base::TimePoint deadline;
  const FetchCharge charge;  // which source, in what priority
  Reservation room;          // the source's until it answers, the table's after
  uint64_t digest = 0;       // of the bytes; 0: the source does not know it
  bool answered = false;     // under the read path's mutex, as is `room` once this is set
};

// Waiters to be answered: with a lease that holds the block in memory, or with an error.
struct FetchOutcome {
  std::vector<FetchWaiter> waiters;
  std::vector<FetchListener> listeners;
  BlockKey key;
  FetchPriority started_as = FetchPriority::kDemand;  // background: in one outcome of a fetch only
  base::Result<Lease> block;
  Tier tier = Tier::kMemory;
};

struct FetchEffects {
  std::vector<FetchOutcome> outcomes;
  std::vector<std::shared_ptr<FetchTry>> asks;
};

enum class LeaveReason : uint8_t { kTimedOut, kOther };

struct FetchOrder {
  BlockKey key;
  uint64_t size_bytes = 0;
  size_t first_source = 0;  // the one to ask first
  FetchPriority priority = FetchPriority::kDemand;
  RoomRule room_rule = RoomRule::kMayEvict;
};

}  // namespace stokefs::cache
