// The fetches in flight, one a block: which source is asked, what waits for it, what waits for
// room.
//
// Pure bookkeeping: no lock, no clock, calls no source and no waiter; asks the sink only whether it
// wants a pause. The read path guards it with its mutex, and carries out the effects that each call
// returns after letting go of that mutex. The memory tier is called from here (its lock is a leaf).
//
//   kWaiting ---room---> kAsking ---bytes, or the last source's error---> (ended)
//      ^                 |  ^  |
//      |                 |  |  +--EAGAIN of the last source--> kBusy --next tick--> kAsking
//      |                 |  +--error of another source: the next one is asked in the same room
//      +-----------------+--late (also to come), or the next source's budget is full
//   kWaiting, kAsking, kBusy --all who waited timed out, or the last source is late--> kOverdue
//   kOverdue --bytes, or every try was answered, or kOverdueTime with none to wait for--> (ended)
//
// Each source has budgets (fetch_budgets.h) and a queue of the fetches that wait for them, so that
// a slow one keeps only its own waiting. While the sink wants a pause, the last source is asked for
// nothing new.
// A late try is given up: its room stays with it until its source answers, and counts for the
// source that it is late at. Bytes that it brings then still go to memory, and to whoever waits for
// the block by then. An overdue fetch refuses who wants to join it: the kernel follows a READ of
// read-ahead that failed with a second READ of the same page, which would wait for a whole deadline
// again. A background fetch, which no reader waits for, never becomes overdue: it ends. A reader
// who comes for its block lifts it to demand, with a deadline of his own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/chunk_source.h"
#include "cache/fetch_budgets.h"
#include "cache/fetch_outcome.h"
#include "cache/fetch_sink.h"
#include "cache/ids.h"
#include "cache/memory_tier.h"

namespace stokefs::cache {

class FetchTable {
 public:
  struct SourceTraits {
    Tier tier = Tier::kOrigin;
    base::Duration deadline{};  // of one try
  };
  struct Options {
    std::vector<SourceTraits> sources;     // in the order in which they are asked
    FetchBudgets::Limits limits;           // of as many sources
    base::Duration background_wait_max{};  // for room
    const FetchSink* sink = nullptr;       // may be null
  };

  FetchTable(Options options, MemoryTier& memory);
  ~FetchTable();

  enum class Presence : uint8_t { kNone, kInFlight, kOverdue };
  Presence Find(BlockKey key) const;

  // Of fetches that have not ended.
  size_t ListenerCount() const { return listener_count_; }

  // Starts a fetch; somebody must then join it or listen. Then call Pump.
  void Start(const FetchOrder& order, base::TimePoint now);
  // Waits for a fetch that is in flight. A background one becomes demand: then call Pump.
  void Join(BlockKey key, FetchWaiter waiter, base::TimePoint now);
  void Listen(BlockKey key, FetchListener listener);
  // `ticket` no longer waits for `key`.
  void Leave(BlockKey key, uint64_t ticket, LeaveReason why, base::TimePoint now,
             FetchEffects& effects);

  // A source's answer; `digest` is that of the bytes when ok. Then call Pump.
  void OnAnswer(FetchTry& answered, base::Status status, uint64_t digest, base::TimePoint now,
                FetchEffects& effects);
  // Gives up what is late, asks busy sources again. Then call Pump.
  void Tick(base::TimePoint now, FetchEffects& effects);

  enum class Room : uint8_t { kEnough, kShort };
  // Starts what waits for room, at each source in the order of arrival, demand first. kShort: a
  // reader waits because leases hold too much memory.
  Room Pump(base::TimePoint now, FetchEffects& effects);

  // Forgets all fetches, listeners are told `error`; answers that come later only free their room.
  void Clear(std::errc error, FetchEffects& effects);

 private:
  enum class State : uint8_t { kWaiting, kAsking, kBusy, kOverdue };
  struct Fetch;
  using Turn = std::pair<FetchPriority, uint64_t>;  // demand first, then by serial: the oldest

  Fetch* Get(BlockKey key) const;
  void Move(Fetch& fetch, State to, base::TimePoint timer);
  void SetTimer(Fetch& fetch, base::TimePoint timer);
  base::TimePoint WaitingTimer(const Fetch& fetch, base::TimePoint now) const;
  void MoveToWaiting(Fetch& fetch, base::TimePoint now);
  void MoveToOverdue(Fetch& fetch, base::TimePoint now);
  void Lift(Fetch& fetch, base::TimePoint now);
  void Ask(Fetch& fetch, Reservation room, base::TimePoint deadline, FetchEffects& effects);
  void OnBytes(FetchTry& answered, uint64_t digest, FetchEffects& effects);
  void OnError(Fetch& fetch, FetchTry& answered, base::Error error, base::TimePoint now,
               FetchEffects& effects);
  void AskNextSource(Fetch& fetch, FetchTry& answered, base::TimePoint now, FetchEffects& effects);
  void OnLate(Fetch& fetch, base::TimePoint now, FetchEffects& effects);
  Room PumpSource(size_t source_index, FetchPriority priority, base::TimePoint now,
                  FetchEffects& effects);
  bool MayStart(const Fetch& fetch) const;
  void Tell(Fetch& fetch, base::Result<Lease> block, Tier tier, FetchEffects& effects);
  void Free(Reservation& room, const FetchCharge& charge);
  void End(Fetch& fetch);

  const Options options_;
  MemoryTier& memory_;
  uint64_t last_serial_ = 0;
  FetchBudgets budgets_;  // of tries not answered, and of rooms of busy fetches
  size_t listener_count_ = 0;
  std::unordered_map<BlockKey, std::unique_ptr<Fetch>, BlockKeyHash> fetches_;
  std::vector<std::map<Turn, Fetch*>> waiting_;  // for room, at each source
  std::map<uint64_t, Fetch*> busy_;              // to be asked again, by serial
  std::set<std::pair<base::TimePoint, Fetch*>> timers_;
};

}  // namespace stokefs::cache
