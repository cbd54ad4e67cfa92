#include "cache/listing_flights.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/executor.h"

namespace stokefs::cache {
namespace {

// How late a deadline may be noticed. The thread sleeps without limit while nobody waits.
constexpr std::chrono::milliseconds kWatchPeriod(20);

tl::unexpected<base::Error> TimedOut() { return base::FailErrno(ETIMEDOUT, "list folder"); }

}  // namespace

ListingFlights::ListingFlights(Options options, const base::Clock& clock)
    : options_(options), clock_(clock) {}

ListingFlights::~ListingFlights() { End(); }

void ListingFlights::Start() {
  watcher_ = std::thread([this] { WatchDeadlines(); });
}

void ListingFlights::End() {
  std::vector<Waiter> left;
  {
    base::MutexLock lock(mu_);
    ended_ = true;
    waiters_or_end_.SignalAll();
    for (auto& [folder, flight] : flights_) {
      std::move(flight.waiters.begin(), flight.waiters.end(), std::back_inserter(left));
      flight.waiters.clear();
    }
    waiter_count_ = 0;
  }
  if (watcher_.joinable()) watcher_.join();
  for (Waiter& waiter : left) waiter.done(base::FailErrno(EIO, "the mount ends"));
}

bool ListingFlights::Join(NodeId folder, Done done) {
  base::Status refusal;
  {
    base::MutexLock lock(mu_);
    auto const found = flights_.find(folder);
    if (ended_) {
      refusal = base::FailErrno(EIO, "the mount ends");
    } else if (found != flights_.end() && found->second.overdue) {
      refusal = TimedOut();
    } else if (waiter_count_ >= options_.waiter_count_max) {
      refusal = base::FailErrno(ETIMEDOUT, "too many wait for listings");
    } else {
      flights_[folder].waiters.push_back(
          {.done = std::move(done), .deadline = clock_.Now() + options_.deadline});
      if (waiter_count_++ == 0) waiters_or_end_.Signal();
      return false;
    }
  }
  done(std::move(refusal));
  return true;
}

bool ListingFlights::TryStart(NodeId folder) {
  base::MutexLock lock(mu_);
  auto const found = flights_.find(folder);
  if (found == flights_.end() || found->second.started) return false;
  found->second.started = true;
  return true;
}

bool ListingFlights::Claim(NodeId folder) {
  base::MutexLock lock(mu_);
  auto const [flight, is_new] = flights_.try_emplace(folder);
  if (!is_new) return false;
  flight->second.started = true;
  return true;
}

void ListingFlights::Land(NodeId folder, const base::Status& status) {
  std::vector<Waiter> waiters;
  {
    base::MutexLock lock(mu_);
    auto const found = flights_.find(folder);
    if (found == flights_.end()) return;
    waiters = std::move(found->second.waiters);
    waiter_count_ -= waiters.size();
    flights_.erase(found);
  }
  for (Waiter& waiter : waiters) waiter.done(status);
}

std::vector<NodeId> ListingFlights::Waiting() const {
  base::MutexLock lock(mu_);
  std::vector<NodeId> folders;
  for (auto const& [folder, flight] : flights_) {
    if (!flight.started) folders.push_back(folder);
  }
  return folders;
}

bool ListingFlights::Has(NodeId folder) const {
  base::MutexLock lock(mu_);
  return flights_.contains(folder);
}

bool ListingFlights::IsIdle() const {
  base::MutexLock lock(mu_);
  return flights_.empty();
}

std::vector<ListingFlights::Done> ListingFlights::TakeExpired() {
  std::vector<Done> expired;
  auto const now = clock_.Now();
  for (auto at = flights_.begin(); at != flights_.end();) {
    Flight& flight = at->second;
    auto const first_left = std::find_if(flight.waiters.begin(), flight.waiters.end(),
                                         [&](const Waiter& w) { return w.deadline > now; });
    size_t const count = static_cast<size_t>(first_left - flight.waiters.begin());
    for (auto late = flight.waiters.begin(); late != first_left; ++late) {
      expired.push_back(std::move(late->done));
    }
    flight.waiters.erase(flight.waiters.begin(), first_left);
    waiter_count_ -= count;
    if (count > 0 && flight.started) flight.overdue = true;
    // Not started and nobody left: the next caller starts afresh.
    bool const is_empty = !flight.started && flight.waiters.empty();
    at = is_empty ? flights_.erase(at) : std::next(at);
  }
  return expired;
}

void ListingFlights::WatchDeadlines() {
  base::PrepareThread("catalog-timer");
  for (;;) {
    std::vector<Done> expired;
    {
      base::MutexLock lock(mu_);
      while (!ended_ && waiter_count_ == 0) waiters_or_end_.Wait(mu_);
      if (ended_) return;
      waiters_or_end_.WaitFor(mu_, kWatchPeriod);
      expired = TakeExpired();
    }
    for (Done& done : expired) done(TimedOut());
  }
}

}  // namespace stokefs::cache
