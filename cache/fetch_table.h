// The fetches in flight, one a block: which source is asked, what waits for it, what waits for
// room.
//
// Pure bookkeeping: no lock, no clock, calls no source and no waiter; asks the sink only whether it
// wants a pause. The read path guards it with
// its mutex, and carries out the effects that each call returns after letting go of that mutex. The
// memory tier is called from here (its lock is a leaf).
//
//   kWaiting ---room---> kAsking ---bytes, or the last source's error---> (ended)
//      ^                 |  ^  |
//      |                 |  |  +--EAGAIN of the last source--> kBusy --next tick--> kAsking
//      |                 |  +--error of another source: the next one is asked in the same room
//      +-----------------+--late, or the next source's budget is full
//   kWaiting, kAsking, kBusy --all who waited timed out, or the last source is late--> kOverdue
//   kOverdue --bytes, or every try was answered, or kOverdueTime with none to wait for--> (ended)
//
// Each source has a budget of bytes in flight and a queue of the fetches that wait for it, so that
// a slow one keeps only its own waiting; one block may always be asked of each. While the sink
// wants a pause, the last source is asked for nothing new. A late try is given up: its room stays
// with it until its source answers, and counts for the source that it is late at. Bytes that it
// brings then still go to memory, and to whoever waits for the block by then. An overdue fetch
// refuses who wants to join it: the kernel follows a READ of read-ahead that failed with a second
// READ of the same page, which would wait for a whole deadline again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/chunk_source.h"
#include "cache/fetch_sink.h"
#include "cache/ids.h"
#include "cache/memory_tier.h"

namespace stokefs::cache {

// Who waits for a block: part `part` of parked read `ticket`.
struct FetchWaiter {
  uint64_t ticket = 0;
  uint32_t part = 0;
};

// One asking of one source for one block. Lives until its source has answered.
struct FetchTry {
  const uint64_t fetch_serial;  // the fetch it was made for; that may be gone or another by now
  const BlockKey key;
  const size_t source_index;
  const base::TimePoint deadline;
  Reservation room;       // the source's until it answers, the table's after
  bool answered = false;  // under the read path's mutex, as is `room` once this is set
};

// Waiters to be answered: with a lease that holds the block in memory, or with an error.
struct FetchOutcome {
  std::vector<FetchWaiter> waiters;
  BlockKey key;
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
};

class FetchTable {
 public:
  struct SourceTraits {
    Tier tier = Tier::kOrigin;
    base::Duration deadline{};  // of one try
    uint64_t bytes_max = 0;     // in flight
  };
  struct Options {
    std::vector<SourceTraits> sources;  // in the order in which they are asked
    uint64_t bytes_max = 0;             // in flight at all of them together
    const FetchSink* sink = nullptr;    // may be null
  };

  FetchTable(Options options, MemoryTier& memory);
  ~FetchTable();

  enum class Presence : uint8_t { kNone, kInFlight, kOverdue };
  Presence Find(BlockKey key) const;

  // Waits for a fetch that is in flight, or starts one. Then call Pump.
  void Join(BlockKey key, FetchWaiter waiter);
  void Start(const FetchOrder& order, FetchWaiter waiter);
  // `ticket` no longer waits for `key`.
  void Leave(BlockKey key, uint64_t ticket, LeaveReason why, base::TimePoint now);

  // A source's answer; `digest` is that of the bytes when ok. Then call Pump.
  void OnAnswer(FetchTry& answered, base::Status status, uint64_t digest, base::TimePoint now,
                FetchEffects& effects);
  // Gives up what is late, asks busy sources again. Then call Pump.
  void Tick(base::TimePoint now, FetchEffects& effects);

  enum class Room : uint8_t { kEnough, kShort };
  // Starts what waits for room, at each source in the order of arrival. kShort: something waits
  // because leases hold too much memory.
  Room Pump(base::TimePoint now, FetchEffects& effects);

  // Forgets all fetches; answers that come later only free their room.
  void Clear();

 private:
  enum class State : uint8_t { kWaiting, kAsking, kBusy, kOverdue };
  struct Fetch;
  struct Source {
    uint64_t bytes_in_flight = 0;        // of tries not answered, and of rooms of busy fetches
    std::map<uint64_t, Fetch*> waiting;  // for room, by serial: the oldest first
  };

  Fetch* Get(BlockKey key) const;
  void Move(Fetch& fetch, State to, base::TimePoint timer);
  void MoveToOverdue(Fetch& fetch, base::TimePoint now);
  void Ask(Fetch& fetch, Reservation room, base::TimePoint deadline, FetchEffects& effects);
  void OnBytes(FetchTry& answered, uint64_t digest, FetchEffects& effects);
  void OnError(Fetch& fetch, FetchTry& answered, base::Error error, base::TimePoint now,
               FetchEffects& effects);
  void AskNextSource(Fetch& fetch, Reservation room, base::TimePoint now, FetchEffects& effects);
  void OnLate(Fetch& fetch, base::TimePoint now, FetchEffects& effects);
  Room PumpSource(size_t source_index, base::TimePoint now, FetchEffects& effects);
  bool Fits(const Fetch& fetch) const;
  void Count(const Reservation& room, size_t source_index);
  void Uncount(const Reservation& room, size_t source_index);
  void Free(Reservation& room, size_t source_index);
  void End(Fetch& fetch);

  const Options options_;
  MemoryTier& memory_;
  uint64_t last_serial_ = 0;
  std::vector<Source> sources_;   // as in the options
  uint64_t bytes_in_flight_ = 0;  // at all of them
  std::unordered_map<BlockKey, std::unique_ptr<Fetch>, BlockKeyHash> fetches_;
  std::map<uint64_t, Fetch*> busy_;  // to be asked again, by serial
  std::set<std::pair<base::TimePoint, Fetch*>> timers_;
};

}  // namespace stokefs::cache
