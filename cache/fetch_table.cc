#include "cache/fetch_table.h"

#include <algorithm>
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
  State state = State::kWaiting;
  base::TimePoint timer = kNever;  // a copy of what timers_ holds
  size_t source_index = 0;         // asked, or to be asked once there is room
  FetchTry* current = nullptr;     // kAsking: the try whose answer counts as the source's
  Reservation room;                // kBusy: for the next try
  size_t unanswered_count = 0;     // tries, also those given up
  std::vector<FetchWaiter> waiters;
};

FetchTable::FetchTable(Options options, MemoryTier& memory)
    : options_(std::move(options)), memory_(memory), sources_(options_.sources.size()) {
  STOKEFS_CHECK(!sources_.empty());
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

void FetchTable::Join(BlockKey key, FetchWaiter waiter) {
  Fetch* const fetch = Get(key);
  STOKEFS_CHECK(fetch != nullptr && fetch->state != State::kOverdue);
  fetch->waiters.push_back(waiter);
}

void FetchTable::Start(const FetchOrder& order, FetchWaiter waiter) {
  STOKEFS_CHECK(order.first_source < sources_.size());
  auto fetch = std::unique_ptr<Fetch>(new Fetch{order.key, order.size_bytes, ++last_serial_});
  fetch->source_index = order.first_source;
  fetch->waiters.push_back(waiter);
  sources_[fetch->source_index].waiting.emplace(fetch->serial, fetch.get());
  bool const is_new = fetches_.emplace(order.key, std::move(fetch)).second;
  STOKEFS_CHECK(is_new);
}

void FetchTable::Leave(BlockKey key, uint64_t ticket, LeaveReason why, base::TimePoint now) {
  Fetch* const fetch = Get(key);
  if (fetch == nullptr) return;
  std::erase_if(fetch->waiters, [&](FetchWaiter const& waiter) { return waiter.ticket == ticket; });
  bool const was_last = fetch->waiters.empty() && fetch->state != State::kOverdue;
  if (was_last && why == LeaveReason::kTimedOut) MoveToOverdue(*fetch, now);
}

// The one place where a state changes: keeps the timer and the sets by state in step.
void FetchTable::Move(Fetch& fetch, State to, base::TimePoint timer) {
  if (fetch.timer != kNever) timers_.erase({fetch.timer, &fetch});
  fetch.timer = timer;
  if (fetch.timer != kNever) timers_.insert({fetch.timer, &fetch});
  auto& waiting = sources_[fetch.source_index].waiting;
  if (fetch.state == State::kWaiting) waiting.erase(fetch.serial);
  if (fetch.state == State::kBusy) busy_.erase(fetch.serial);
  fetch.state = to;
  if (to == State::kWaiting) waiting.emplace(fetch.serial, &fetch);
  if (to == State::kBusy) busy_.emplace(fetch.serial, &fetch);
  if (to != State::kAsking) fetch.current = nullptr;
  if (to != State::kBusy) Free(fetch.room, fetch.source_index);
}

void FetchTable::MoveToOverdue(Fetch& fetch, base::TimePoint now) {
  Move(fetch, State::kOverdue, fetch.unanswered_count > 0 ? kNever : now + kOverdueTime);
}

void FetchTable::Ask(Fetch& fetch, Reservation room, base::TimePoint deadline,
                     FetchEffects& effects) {
  auto ask = std::shared_ptr<FetchTry>(
      new FetchTry{fetch.serial, fetch.key, fetch.source_index, deadline, std::move(room)});
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
    Free(answered.room, answered.source_index);
    bool const was_last = fetch != nullptr && fetch->unanswered_count == 0;
    if (was_last && fetch->state == State::kOverdue) End(*fetch);
  }
}

void FetchTable::OnBytes(FetchTry& answered, uint64_t digest, FetchEffects& effects) {
  std::optional<Lease> lease = memory_.Peek(answered.key);
  if (lease) {  // another try was faster
    Free(answered.room, answered.source_index);
  } else {
    Uncount(answered.room, answered.source_index);
    lease = memory_.Publish(std::move(answered.room), answered.key, digest);
  }
  // Not only the fetch that this try was made for: a later one is served as well.
  Fetch* const fetch = Get(answered.key);
  if (fetch == nullptr) return;
  effects.outcomes.push_back({.waiters = std::move(fetch->waiters),
                              .key = answered.key,
                              .block = std::move(*lease),
                              .tier = options_.sources[answered.source_index].tier});
  End(*fetch);
}

void FetchTable::OnError(Fetch& fetch, FetchTry& answered, base::Error error, base::TimePoint now,
                         FetchEffects& effects) {
  fetch.current = nullptr;
  Tier const tier = options_.sources[fetch.source_index].tier;
  bool const is_last = fetch.source_index + 1 == sources_.size();
  if (!is_last && !IsFinal(error.code, tier)) {
    AskNextSource(fetch, std::move(answered.room), now, effects);
    return;
  }
  if (is_last && error.code == std::errc::resource_unavailable_try_again) {
    fetch.room = std::move(answered.room);
    Move(fetch, State::kBusy, answered.deadline);
    return;
  }
  Free(answered.room, answered.source_index);
  effects.outcomes.push_back({.waiters = std::move(fetch.waiters),
                              .key = fetch.key,
                              .block = tl::unexpected(std::move(error)),
                              .tier = tier});
  End(fetch);
}

// In the same room, which only changes whom it counts for; unless it has to wait its turn there.
void FetchTable::AskNextSource(Fetch& fetch, Reservation room, base::TimePoint now,
                               FetchEffects& effects) {
  Uncount(room, fetch.source_index);
  ++fetch.source_index;
  auto const& waiting = sources_[fetch.source_index].waiting;
  bool const is_first = waiting.empty() || waiting.begin()->first > fetch.serial;
  if (is_first && Fits(fetch)) {
    Count(room, fetch.source_index);
    Ask(fetch, std::move(room), now + options_.sources[fetch.source_index].deadline, effects);
  } else {
    Move(fetch, State::kWaiting, kNever);
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
  if (fetch.source_index + 1 < sources_.size()) {
    ++fetch.source_index;
    Move(fetch, State::kWaiting, kNever);
    return;
  }
  effects.outcomes.push_back({.waiters = std::exchange(fetch.waiters, {}),
                              .key = fetch.key,
                              .block = base::Fail(std::errc::timed_out, "no source in time"),
                              .tier = options_.sources[fetch.source_index].tier});
  MoveToOverdue(fetch, now);
}

FetchTable::Room FetchTable::Pump(base::TimePoint now, FetchEffects& effects) {
  Room room = Room::kEnough;
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (PumpSource(i, now, effects) == Room::kShort) room = Room::kShort;
  }
  return room;
}

FetchTable::Room FetchTable::PumpSource(size_t source_index, base::TimePoint now,
                                        FetchEffects& effects) {
  auto const& waiting = sources_[source_index].waiting;
  while (!waiting.empty()) {
    Fetch& fetch = *waiting.begin()->second;
    if (!Fits(fetch)) break;
    std::optional<Reservation> room = memory_.Reserve(fetch.size_bytes);
    if (!room) return Room::kShort;
    Count(*room, source_index);
    Ask(fetch, std::move(*room), now + options_.sources[source_index].deadline, effects);
  }
  return Room::kEnough;
}

// Whether the budgets and the sink let it be asked of its source.
bool FetchTable::Fits(const Fetch& fetch) const {
  bool const is_last = fetch.source_index + 1 == sources_.size();
  if (is_last && options_.sink != nullptr && options_.sink->WantsPause()) return false;
  uint64_t const bytes_there = sources_[fetch.source_index].bytes_in_flight;
  if (bytes_there == 0) return true;
  return bytes_there + fetch.size_bytes <= options_.sources[fetch.source_index].bytes_max &&
         bytes_in_flight_ + fetch.size_bytes <= options_.bytes_max;
}

void FetchTable::Clear() {
  while (!fetches_.empty()) End(*fetches_.begin()->second);
}

void FetchTable::Count(const Reservation& room, size_t source_index) {
  sources_[source_index].bytes_in_flight += room.bytes().size();
  bytes_in_flight_ += room.bytes().size();
}

void FetchTable::Uncount(const Reservation& room, size_t source_index) {
  sources_[source_index].bytes_in_flight -= room.bytes().size();
  bytes_in_flight_ -= room.bytes().size();
}

void FetchTable::Free(Reservation& room, size_t source_index) {
  if (!room.Valid()) return;
  Uncount(room, source_index);
  room = Reservation();
}

void FetchTable::End(Fetch& fetch) {
  Move(fetch, State::kOverdue, kNever);  // out of every set
  fetches_.erase(fetch.key);
}

}  // namespace stokefs::cache
