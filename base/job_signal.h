// How work in the background is told to end, or that something it waits for has happened.
#pragma once

#include <atomic>

#include "base/clock.h"
#include "base/sync.h"

namespace stokefs::base {

// Thread-safe. Lock: a leaf.
class JobSignal {
 public:
  void Cancel() EXCLUDES(mu_) {
    cancelled_.store(true, std::memory_order_release);
    Wake();
  }
  bool IsCancelled() const { return cancelled_.load(std::memory_order_acquire); }

  void Wake() EXCLUDES(mu_) {
    MutexLock lock(mu_);
    woken_ = true;
    woken_signal_.SignalAll();
  }
  // Returns when Wake or Cancel was called since the last Wait returned, or after `limit` at the
  // latest; maybe earlier. So look at what is waited for before and after.
  void Wait(Duration limit) EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (!woken_) woken_signal_.WaitFor(mu_, limit);
    woken_ = false;
  }

 private:
  std::atomic<bool> cancelled_{false};  // atomic: looked at between pieces of work
  Mutex mu_;
  CondVar woken_signal_;
  bool woken_ GUARDED_BY(mu_) = false;
};

}  // namespace stokefs::base
