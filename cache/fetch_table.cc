#include "cache/fetch_table.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/check.h"

namespace stokefs::cache {
namespace {

constexpr base::TimePoint kNever = base::TimePoint::max();

// How long an overdue fetch that no source will answer refuses joiners: the kernel's second READ
// comes within milliseconds, while a person's next try deserves a fresh fetch.
constexpr base::Duration kOverdueTime = std::chrono::seconds(1);

// The origin's word on its own file: nobody else can know better.
bool IsFinal(std::errc code, Tier tier) {
  return tier == Tier::kOrigin &&
         (code == std::errc::no_such_file_or_directory || code == std::errc{ESTALE});
}

}  // namespace

struct FetchTable::Fetch {
  const BlockKey key;
  const uint64_t size_bytes;
  const uint64_t serial;
  FetchPriority started_as;  // until it was told of
  FetchPriority priority;
  RoomRule room_rule;
  size_t source_index;             // asked, or to be asked once there is room
  State state = State::kOverdue;   // in no set, until it is moved to one
  base::TimePoint timer = kNever;  // a copy of what timers_ holds
  FetchTry* current = nullptr;     // kAsking: the try whose answer counts as the source's
  Reservation room;                // kBusy: for the next try
  size_t unanswered_count = 0;     // tries, also those given up
  std::vector<FetchWaiter> waiters;
  std::vector<FetchListener> listeners;

  Turn turn() const { return {priority, serial}; }
  FetchCharge Charge() const { return {source_index, priority, size_bytes}; }
};

FetchTable::FetchTable(Options options, MemoryTier& memory)
    : options_(std::move(options)),
      memory_(memory),
      budgets_(options_.limits),
      waiting_(options_.sources.size()) {
  STOKEFS_CHECK(options_.limits.sources.size() == options_.sources.size());
}

FetchTable::~FetchTable() = default;

FetchTable::Fetch* FetchTable::Get(BlockKey key) const {
  auto const found = fetches_.find(key);
  return found == fetches_.end() ? nullptr : found->second.get();
}

FetchTable::Presence FetchTable::Find(BlockKey key) const {
  Fetch const* const fetch = Get(key);
  if (fetch == nullptr) return Presence::kNone;
  return fetch->state == State::kOverdue ? Presence::kOverdue : Presence::kInFlight;
}

void FetchTable::Start(const FetchOrder& order, base::TimePoint now) {
  STOKEFS_CHECK(order.first_source < waiting_.size());
  // NOLINTNEXTLINE(modernize-make-unique): clang 14 makes no aggregate from parentheses
  auto fetch = std::unique_ptr<Fetch>(new Fetch{.key = order.key,
                                                .size_bytes = order.size_bytes,
                                                .serial = ++last_serial_,
                                                .started_as = order.priority,
                                                .priority = order.priority,
                                                .room_rule = order.room_rule,
                                                .source_index = order.first_source});
  MoveToWaiting(*fetch, now);
  bool const is_new = fetches_.emplace(order.key, std::move(fetch)).second;
  STOKEFS_CHECK(is_new);
}

void FetchTable::Join(BlockKey key, FetchWaiter waiter, base::TimePoint now) {
  Fetch* const fetch = Get(key);
  STOKEFS_CHECK(fetch != nullptr && fetch->state != State::kOverdue);
  fetch->waiters.push_back(waiter);
  if (fetch->priority == FetchPriority::kBackground) Lift(*fetch, now);
}

void FetchTable::Listen(BlockKey key, FetchListener listener) {
  Fetch* const fetch = Get(key);
  STOKEFS_CHECK(fetch != nullptr && fetch->state != State::kOverdue);
  fetch->listeners.push_back(std::move(listener));
  ++listener_count_;
}

void FetchTable::Leave(BlockKey key, uint64_t ticket, LeaveReason why, base::TimePoint now,
                       FetchEffects& effects) {
  Fetch* const fetch = Get(key);
  if (fetch == nullptr) return;
  std::erase_if(fetch->waiters, [&](FetchWaiter const& waiter) { return waiter.ticket == ticket; });
  bool const was_last = fetch->waiters.empty() && fetch->state != State::kOverdue;
  if (!was_last || why != LeaveReason::kTimedOut) return;
  Tell(*fetch, base::Fail(std::errc::timed_out, "no bytes in time"), Tier::kMemory, effects);
  MoveToOverdue(*fetch, now);
}

void FetchTable::SetTimer(Fetch& fetch, base::TimePoint timer) {
  if (fetch.timer != kNever) timers_.erase({fetch.timer, &fetch});
  fetch.timer = timer;
  if (fetch.timer != kNever) timers_.insert({fetch.timer, &fetch});
}

// The one place where a state changes: keeps the timer and the sets by state in step.
void FetchTable::Move(Fetch& fetch, State to, base::TimePoint timer) {
  SetTimer(fetch, timer);
  auto& waiting = waiting_[fetch.source_index];
  if (fetch.state == State::kWaiting) waiting.erase(fetch.turn());
  if (fetch.state == State::kBusy) busy_.erase(fetch.serial);
  fetch.state = to;
  if (to == State::kWaiting) waiting.emplace(fetch.turn(), &fetch);
  if (to == State::kBusy) busy_.emplace(fetch.serial, &fetch);
  if (to != State::kAsking) fetch.current = nullptr;
  if (to != State::kBusy) Free(fetch.room, fetch.Charge());
}

// How long it may wait for its source's room. Readers have deadlines of their own, so they only
// leave a source that is not the last: one that hangs keeps its rooms. Who nobody waits for ends.
base::TimePoint FetchTable::WaitingTimer(const Fetch& fetch, base::TimePoint now) const {
  if (fetch.priority == FetchPriority::kBackground) return now + options_.background_wait_max;
  bool const is_last = fetch.source_index + 1 == options_.sources.size();
  return is_last ? kNever : now + options_.sources[fetch.source_index].deadline;
}

void FetchTable::MoveToWaiting(Fetch& fetch, base::TimePoint now) {
  Move(fetch, State::kWaiting, WaitingTimer(fetch, now));
}

void FetchTable::MoveToOverdue(Fetch& fetch, base::TimePoint now) {
  Move(fetch, State::kOverdue, fetch.unanswered_count > 0 ? kNever : now + kOverdueTime);
}

// A reader came for a background block. How long it has been under way at the last source is not
// held against the reader; another one that is late by then is given up for the next. What a source
// was asked for goes on as it is: it counts as background until answered.
void FetchTable::Lift(Fetch& fetch, base::TimePoint now) {
  if (fetch.state == State::kBusy) Move(fetch, State::kWaiting, kNever);
  bool const waits = fetch.state == State::kWaiting;
  auto& waiting = waiting_[fetch.source_index];
  if (waits) waiting.erase(fetch.turn());
  fetch.priority = FetchPriority::kDemand;
  fetch.room_rule = RoomRule::kMayEvict;
  if (waits) waiting.emplace(fetch.turn(), &fetch);
  SetTimer(fetch,
           waits ? WaitingTimer(fetch, now) : now + options_.sources[fetch.source_index].deadline);
}

void FetchTable::Ask(Fetch& fetch, Reservation room, base::TimePoint deadline,
                     FetchEffects& effects) {
  auto ask = std::shared_ptr<FetchTry>(new FetchTry{.fetch_serial = fetch.serial,
                                                    .key = fetch.key,
                                                    .deadline = deadline,
                                                    .charge = fetch.Charge(),
                                                    .room = std::move(room)});
  Move(fetch, State::kAsking, deadline);
  fetch.current = ask.get();
  ++fetch.unanswered_count;
  effects.asks.push_back(std::move(ask));
}

void FetchTable::OnAnswer(FetchTry& answered, base::Status status, uint64_t digest,
                          base::TimePoint now, FetchEffects& effects) {
  STOKEFS_CHECK(!answered.answered);
  answered.answered = true;
  Fetch* fetch = Get(answered.key);
  if (fetch != nullptr && fetch->serial != answered.fetch_serial) fetch = nullptr;
  if (fetch != nullptr) --fetch->unanswered_count;
  if (status) {
    OnBytes(answered, digest, effects);
  } else if (fetch != nullptr && fetch->current == &answered) {
    OnError(*fetch, answered, std::move(status.error()), now, effects);
  } else {
    Free(answered.room, answered.charge);
    bool const was_last = fetch != nullptr && fetch->unanswered_count == 0;
    if (was_last && fetch->state == State::kOverdue) End(*fetch);
  }
}

void FetchTable::OnBytes(FetchTry& answered, uint64_t digest, FetchEffects& effects) {
  std::optional<Lease> lease = memory_.Peek(answered.key);
  if (lease) {  // another try was faster
    Free(answered.room, answered.charge);
  } else {
    budgets_.Remove(answered.charge);
    lease = memory_.Publish(std::move(answered.room), answered.key, digest);
  }
  // Not only the fetch that this try was made for: a later one is served as well.
  Fetch* const fetch = Get(answered.key);
  if (fetch == nullptr) return;
  Tell(*fetch, std::move(*lease), options_.sources[answered.charge.source_index].tier, effects);
  End(*fetch);
}

void FetchTable::OnError(Fetch& fetch, FetchTry& answered, base::Error error, base::TimePoint now,
                         FetchEffects& effects) {
  fetch.current = nullptr;
  Tier const tier = options_.sources[fetch.source_index].tier;
  bool const is_last = fetch.source_index + 1 == options_.sources.size();
  if (!is_last && !IsFinal(error.code, tier)) {
    AskNextSource(fetch, answered, now, effects);
    return;
  }
  bool const was_lifted = answered.charge.priority != fetch.priority;
  bool const was_started =
      error.code != std::errc::timed_out && error.code != std::errc::resource_unavailable_try_again;
  if (was_lifted && !was_started) {  // as a background item: it is asked again as a reader's
    Free(answered.room, answered.charge);
    MoveToWaiting(fetch, now);
    return;
  }
  if (is_last && error.code == std::errc::resource_unavailable_try_again) {
    fetch.room = std::move(answered.room);
    Move(fetch, State::kBusy, fetch.timer);
    return;
  }
  Free(answered.room, answered.charge);
  Tell(fetch, tl::unexpected(std::move(error)), tier, effects);
  End(fetch);
}

// In the same room, which only changes what it counts for; unless it has to wait its turn there.
void FetchTable::AskNextSource(Fetch& fetch, FetchTry& answered, base::TimePoint now,
                               FetchEffects& effects) {
  budgets_.Remove(answered.charge);
  ++fetch.source_index;
  auto const& waiting = waiting_[fetch.source_index];
  bool const is_first = waiting.empty() || waiting.begin()->first > fetch.turn();
  if (is_first && MayStart(fetch)) {
    budgets_.Add(fetch.Charge());
    Ask(fetch, std::move(answered.room), now + options_.sources[fetch.source_index].deadline,
        effects);
  } else {
    answered.room = Reservation();
    MoveToWaiting(fetch, now);
  }
}

void FetchTable::Tick(base::TimePoint now, FetchEffects& effects) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Fetch& fetch = *timers_.begin()->second;
    if (fetch.state == State::kOverdue) {
      End(fetch);
    } else {
      OnLate(fetch, now, effects);
    }
  }
  while (!busy_.empty()) {
    Fetch& fetch = *busy_.begin()->second;
    Ask(fetch, std::move(fetch.room), fetch.timer, effects);
  }
}

void FetchTable::OnLate(Fetch& fetch, base::TimePoint now, FetchEffects& effects) {
  bool const is_last = fetch.source_index + 1 == options_.sources.size();
  bool const waits = fetch.state == State::kWaiting;
  if (!is_last && !(waits && fetch.priority == FetchPriority::kBackground)) {
    if (waits) waiting_[fetch.source_index].erase(fetch.turn());
    ++fetch.source_index;
    MoveToWaiting(fetch, now);
    return;
  }
  Tell(fetch, base::Fail(std::errc::timed_out, "no source in time"),
       options_.sources[fetch.source_index].tier, effects);
  if (fetch.priority == FetchPriority::kBackground) {
    End(fetch);
  } else {
    MoveToOverdue(fetch, now);
  }
}

FetchTable::Room FetchTable::Pump(base::TimePoint now, FetchEffects& effects) {
  Room room = Room::kEnough;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    if (PumpSource(i, FetchPriority::kDemand, now, effects) == Room::kShort) room = Room::kShort;
  }
  if (room == Room::kShort) return room;
  for (size_t i = 0; i < waiting_.size(); ++i) {
    PumpSource(i, FetchPriority::kBackground, now, effects);
  }
  return room;
}

FetchTable::Room FetchTable::PumpSource(size_t source_index, FetchPriority priority,
                                        base::TimePoint now, FetchEffects& effects) {
  auto const& waiting = waiting_[source_index];
  while (!waiting.empty()) {
    Fetch& fetch = *waiting.begin()->second;
    if (fetch.priority != priority || !MayStart(fetch)) break;
    std::optional<Reservation> room = memory_.Reserve(fetch.size_bytes, fetch.room_rule);
    if (room) {
      budgets_.Add(fetch.Charge());
      Ask(fetch, std::move(*room), now + options_.sources[source_index].deadline, effects);
    } else if (fetch.room_rule != RoomRule::kMayEvict) {
      Tell(fetch, base::Fail(std::errc::not_enough_memory, "memory has no free room"),
           options_.sources[source_index].tier, effects);
      End(fetch);
    } else {
      return Room::kShort;
    }
  }
  return Room::kEnough;
}

// Whether the budgets and the sink let it be asked of its source.
bool FetchTable::MayStart(const Fetch& fetch) const {
  bool const is_last = fetch.source_index + 1 == options_.sources.size();
  if (is_last && options_.sink != nullptr && options_.sink->WantsPause()) return false;
  return budgets_.Fits(fetch.Charge());
}

void FetchTable::Clear(std::errc error, FetchEffects& effects) {
  while (!fetches_.empty()) {
    Fetch& fetch = *fetches_.begin()->second;
    fetch.waiters.clear();  // theirs is the read path's to say
    Tell(fetch, base::Fail(error, "the mount is ending"), Tier::kMemory, effects);
    End(fetch);
  }
}

// Who waits and who listens, if anybody.
void FetchTable::Tell(Fetch& fetch, base::Result<Lease> block, Tier tier, FetchEffects& effects) {
  listener_count_ -= fetch.listeners.size();
  effects.outcomes.push_back({.waiters = std::exchange(fetch.waiters, {}),
                              .listeners = std::exchange(fetch.listeners, {}),
                              .key = fetch.key,
                              .started_as = std::exchange(fetch.started_as, FetchPriority::kDemand),
                              .block = std::move(block),
                              .tier = tier});
}

void FetchTable::Free(Reservation& room, const FetchCharge& charge) {
  if (!room.Valid()) return;
  budgets_.Remove(charge);
  room = Reservation();
}

void FetchTable::End(Fetch& fetch) {
  Move(fetch, State::kOverdue, kNever);  // out of every set
  fetches_.erase(fetch.key);
}

}  // namespace stokefs::cache
