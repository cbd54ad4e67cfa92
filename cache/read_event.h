// What happened on the read path, told to observers that never run on it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/sync.h"
#include "cache/ids.h"

namespace stokefs::cache {

// One READ that was answered with bytes.
struct ReadEvent {
  ReaderId reader;
  NodeId node;
  uint64_t offset = 0;
  uint32_t size_bytes = 0;    // bytes answered
  bool whole_end = false;     // the answer reached the end of the file
  Tier tier = Tier::kMemory;  // the slowest tier that the answer waited for
  base::TimePoint when;       // when it was answered
  base::Duration waited{};    // 0 when memory answered at once
};

class ReadObserver {
 public:
  virtual ~ReadObserver() = default;
  // Called on the observer's own thread, events in order, some at a time.
  virtual void OnReads(std::span<const ReadEvent> events) = 0;
  // Nothing was read for the queue's `idle_period`; again after each further one.
  virtual void OnIdle() {}
};

// A bounded queue and a thread for one observer. Publishing never blocks: a full queue drops the
// event and counts it. Thread-safe. Lock: mu_, a leaf, not held while the observer runs.
class ReadEventQueue {
 public:
  struct Options {
    std::string name;  // thread name
    size_t event_count_max = 65536;
    // The thread takes what has come this often at most, so that a stream of reads pays a wake-up
    // (about 3 µs of the reader's time) each pause and not each event.
    base::Duration batch_pause = std::chrono::milliseconds(2);
    base::Duration idle_period = std::chrono::seconds(1);
  };
  ReadEventQueue(Options options, ReadObserver& observer);
  ~ReadEventQueue();  // delivers what is queued, then ends

  void Publish(const ReadEvent& event) EXCLUDES(mu_);
  uint64_t DroppedCount() const { return dropped_count_.Value(); }
  // Returns when everything published before the call has been observed. For tests and shutdown.
  void Drain() EXCLUDES(mu_);

 private:
  void Run();

  const Options options_;
  ReadObserver& observer_;
  base::Counter dropped_count_;
  base::Mutex mu_;
  base::CondVar changed_;
  std::vector<ReadEvent> waiting_ GUARDED_BY(mu_);
  bool delivering_ GUARDED_BY(mu_) = false;
  bool idle_ GUARDED_BY(mu_) = false;  // the thread sleeps until it is signalled
  size_t draining_count_ GUARDED_BY(mu_) = 0;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: starts when everything above stands
};

}  // namespace stokefs::cache
