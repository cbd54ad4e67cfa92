// Who waits for which folder's listing: one listing at a time for one folder, however many wait,
// and none waits longer than the deadline. Thread-safe. Lock: mu_, a leaf; no callback under it.
//
// A flight:  (none) -Join-> waiting -TryStart-> started -Land-> (none)
//            (none) -Claim-> started             (the background scan; Join may add waiters)
//            started -a waiter's deadline-> overdue -Land-> (none)
// Joining an overdue flight fails at once, so that a hung folder costs one deadline, not one each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/ids.h"

namespace stokefs::cache {

class ListingFlights {
 public:
  using Done = std::function<void(base::Status)>;

  struct Options {
    base::Duration deadline = std::chrono::seconds(30);
    size_t waiter_count_max = 16384;  // over all folders; the kernel rarely has 1,000 requests out
  };
  ListingFlights(Options options, const base::Clock& clock);
  ~ListingFlights();  // after End

  // Starts the thread that watches deadlines. End stops it and answers all waiters EIO, those that
  // come later too.
  void Start() EXCLUDES(mu_);
  void End() EXCLUDES(mu_);

  // `done` is called when the flight lands or the deadline passes, or inside this call (true).
  bool Join(NodeId folder, Done done) EXCLUDES(mu_);
  // True for one caller: it must see to it that the flight lands.
  bool TryStart(NodeId folder) EXCLUDES(mu_);
  // The same without waiters; false when the folder is in flight already.
  bool Claim(NodeId folder) EXCLUDES(mu_);
  void Land(NodeId folder, const base::Status& status) EXCLUDES(mu_);

  std::vector<NodeId> Waiting() const EXCLUDES(mu_);  // flights that nobody started
  bool Has(NodeId folder) const EXCLUDES(mu_);        // it is in flight
  bool IsIdle() const EXCLUDES(mu_);                  // no flights

 private:
  struct Waiter {
    Done done;
    base::TimePoint deadline;
  };
  struct Flight {
    bool started = false;
    bool overdue = false;
    std::vector<Waiter> waiters;  // in the order of their deadlines
  };

  void WatchDeadlines();
  std::vector<Done> TakeExpired() REQUIRES(mu_);

  const Options options_;
  const base::Clock& clock_;
  mutable base::Mutex mu_;
  base::CondVar waiters_or_end_;
  std::map<NodeId, Flight> flights_ GUARDED_BY(mu_);
  size_t waiter_count_ GUARDED_BY(mu_) = 0;
  bool ended_ GUARDED_BY(mu_) = false;
  std::thread watcher_;  // of Start and End only
};

}  // namespace stokefs::cache
