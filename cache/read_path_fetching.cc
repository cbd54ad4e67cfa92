// What sources answer, what waits for room, what is late, the end.
#include <algorithm>
#include <string>
#include <utility>

#include "cache/digest.h"
#include "cache/read_path_impl.h"

namespace stokefs::cache {

// Before the blocks' readers are answered, so that whoever has read a block knows that it is kept.
void ReadPath::Impl::TellSink(const std::vector<SourceAnswer>& answers,
                              const std::vector<uint64_t>& digests) {
  {
    base::MutexLock lock(mu_);
    if (ended_.load(std::memory_order_relaxed) != 0) return;  // then the sink may be gone
    ++performing_count_;
  }
  for (size_t i = 0; i < answers.size(); ++i) {
    auto const& [answered, status] = answers[i];
    if (!status || answered->charge.source_index + 1 < sources_.Count()) continue;
    options_.sink->OnFetched({.key = answered->key,
                              .bytes = answered->room.bytes(),
                              .digest = digests[i],
                              .tier = sources_.TierOf(answered->charge.source_index)});
  }
  base::MutexLock lock(mu_);
  if (--performing_count_ == 0) performed_.SignalAll();
}

ReadPath::Impl::Effects ReadPath::Impl::TakeAnswers(std::vector<SourceAnswer> answers) {
  // Outside the lock: about 100 µs for a block of 1 MiB.
  std::vector<uint64_t> digests;
  for (auto const& [answered, status] : answers) {
    bool const is_known = answered->digest != 0;
    digests.push_back(!status ? 0 : is_known ? answered->digest : DigestOf(answered->room.bytes()));
  }
  if (options_.sink != nullptr) TellSink(answers, digests);
  Effects effects;
  base::MutexLock lock(mu_);
  bool const ended = ended_.load(std::memory_order_relaxed) != 0;  // then the clock may be gone
  base::TimePoint const now = ended ? base::TimePoint{} : clock_.Now();
  for (size_t i = 0; i < answers.size(); ++i) {
    auto& [answered, status] = answers[i];
    fetches_.OnAnswer(*answered, std::move(status), digests[i], now, effects.fetches);
  }
  Settle(effects, now);
  return effects;
}

// Hands ended fetches to their readers and starts what waits for room. The caller lets go of mu_
// and calls Perform.
void ReadPath::Impl::Settle(Effects& effects, base::TimePoint now) {
  // By index, and out of the list: a read that ends leaves its other fetches, which may end too.
  for (size_t i = 0; i < effects.fetches.outcomes.size(); ++i) {
    FetchOutcome outcome = std::move(effects.fetches.outcomes[i]);
    for (FetchWaiter const& waiter : outcome.waiters) Deliver(outcome, waiter, effects);
    TellListeners(outcome, effects);
  }
  effects.fetches.outcomes.clear();
  while (fetches_.Pump(now, effects.fetches) == FetchTable::Room::kShort) {
    if (!parked_.GiveUpOneLease()) break;  // Tick tries again
  }
  for (FetchOutcome& outcome : effects.fetches.outcomes) TellListeners(outcome, effects);
  ++performing_count_;
}

void ReadPath::Impl::TellListeners(FetchOutcome& outcome, Effects& effects) {
  if (outcome.started_as == FetchPriority::kBackground) {
    ReadStatistics& statistics = answers_.statistics();
    // To find no room is no error: whoever wished for it asks again when there is some.
    if (outcome.block)
      statistics.prefetched.Add();
    else if (outcome.block.error().code != std::errc::not_enough_memory)
      statistics.prefetch_errors.Add();
  }
  for (FetchListener& listener : outcome.listeners) {
    base::Status const status =
        outcome.block ? base::Status() : tl::unexpected(outcome.block.error());
    effects.told.push_back({std::move(listener), outcome.key, status});
  }
}

void ReadPath::Impl::Deliver(const FetchOutcome& outcome, FetchWaiter waiter, Effects& effects) {
  PendingRead* const read = parked_.Get(waiter.ticket);
  if (read == nullptr) return;  // an error of another block answered it
  if (!outcome.block) {
    GiveUp(waiter.ticket, outcome.block.error(), LeaveReason::kOther, effects);
    return;
  }
  ReadPart& part = read->parts[waiter.part];
  read->tier = std::max(read->tier, outcome.tier);
  // Through Find, because the policy has to know of each read.
  if (auto lease = memory_.Find(outcome.key, read->request.reader)) {
    part.lease = std::move(*lease);
  } else {  // removed just now
    part.Copy(outcome.block->bytes());
  }
  if (!read->Complete()) return;
  effects.answers.push_back({std::move(*parked_.Take(waiter.ticket)), std::nullopt});
}

void ReadPath::Impl::GiveUp(uint64_t ticket, base::Error error, LeaveReason why, Effects& effects) {
  std::optional<PendingRead> read = parked_.Take(ticket);
  if (!read) return;
  base::TimePoint const now = clock_.Now();
  for (ReadPart const& part : read->parts) {
    if (!part.Here()) fetches_.Leave(part.key, ticket, why, now, effects.fetches);
  }
  effects.answers.push_back({std::move(*read), std::move(error)});
}

void ReadPath::Impl::Tick() {
  base::TimePoint const now = clock_.Now();
  Effects effects;
  {
    base::MutexLock lock(mu_);
    while (auto const ticket = parked_.Oldest(now - options_.read_deadline)) {
      GiveUp(*ticket, {std::errc::timed_out, "no bytes in time"}, LeaveReason::kTimedOut, effects);
    }
    fetches_.Tick(now, effects.fetches);
    Settle(effects, now);
  }
  Perform(std::move(effects));
}

void ReadPath::Impl::Shutdown(std::errc error) {
  Effects effects;
  {
    base::MutexLock lock(mu_);
    while (ended_.load(std::memory_order_relaxed) != 0 && performing_count_ > 0) {
      performed_.Wait(mu_);
    }
    if (ended_.load(std::memory_order_relaxed) != 0) return;
    ended_.store(static_cast<int>(error), std::memory_order_release);
    fetches_.Clear(error, effects.fetches);
    for (FetchOutcome& outcome : effects.fetches.outcomes) TellListeners(outcome, effects);
    while (auto const ticket = parked_.Oldest(base::TimePoint::max())) {
      GiveUp(*ticket, {error, "the mount is ending"}, LeaveReason::kOther, effects);
    }
    ++performing_count_;
  }
  Perform(std::move(effects));
  base::MutexLock lock(mu_);
  while (performing_count_ > 0) performed_.Wait(mu_);
}

// With no lock held. Sources first: they work while readers are answered.
void ReadPath::Impl::Perform(Effects effects) {
  auto const later = [self = shared_from_this()](SourceAnswer answer) {
    std::vector<SourceAnswer> one;
    one.push_back(std::move(answer));
    self->Perform(self->TakeAnswers(std::move(one)));
  };
  for (bool done = false; !done;) {
    std::vector<SourceAnswer> inside = sources_.Ask(std::move(effects.fetches.asks), later);
    for (ReadAnswer& answer : effects.answers) answers_.Answer(std::move(answer));
    for (auto const& [listener, key, status] : effects.told) (*listener)(key, status);
    effects = {};
    done = inside.empty();
    if (!done) effects = TakeAnswers(std::move(inside));  // performs once more
    base::MutexLock lock(mu_);
    if (--performing_count_ == 0) performed_.SignalAll();
  }
}

}  // namespace stokefs::cache
