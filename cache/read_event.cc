#include "cache/read_event.h"

#include <utility>

#include "base/check.h"
#include "base/executor.h"

namespace stokefs::cache {

ReadEventQueue::ReadEventQueue(Options options, ReadObserver& observer)
    : options_(std::move(options)), observer_(observer), thread_([this] { Run(); }) {
  STOKEFS_CHECK(options_.event_count_max > 0);
}

ReadEventQueue::~ReadEventQueue() {
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void ReadEventQueue::Publish(const ReadEvent& event) {
  base::MutexLock lock(mu_);
  if (waiting_.size() >= options_.event_count_max) {
    dropped_count_.Add();
    return;
  }
  waiting_.push_back(event);
  if (!idle_) return;
  idle_ = false;  // one wake-up is enough, however late the thread gets to run
  changed_.SignalAll();
}

void ReadEventQueue::Drain() {
  base::MutexLock lock(mu_);
  ++draining_count_;
  changed_.SignalAll();
  while (!waiting_.empty() || delivering_) changed_.Wait(mu_);
  --draining_count_;
}

void ReadEventQueue::Run() {
  base::PrepareThread(options_.name);
  std::vector<ReadEvent> batch;  // swaps with waiting_: both keep their room
  base::MutexLock lock(mu_);
  for (;;) {
    while (waiting_.empty() && !stopping_) {
      idle_ = true;
      if (changed_.WaitFor(mu_, options_.idle_period) || !waiting_.empty() || stopping_) continue;
      delivering_ = true;
      mu_.unlock();
      observer_.OnIdle();
      mu_.lock();
      delivering_ = false;
      if (draining_count_ > 0) changed_.SignalAll();
    }
    idle_ = false;
    if (waiting_.empty()) return;
    batch.swap(waiting_);
    delivering_ = true;
    mu_.unlock();
    observer_.OnReads(batch);
    batch.clear();
    mu_.lock();
    delivering_ = false;
    if (draining_count_ > 0) changed_.SignalAll();
    // Not idle meanwhile, so that publishers need not wake anyone.
    if (!stopping_ && draining_count_ == 0) changed_.WaitFor(mu_, options_.batch_pause);
  }
}

}  // namespace stokefs::cache
