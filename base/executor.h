// Where work runs. Every queue is bounded; a full queue refuses, and the caller says what then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/sync.h"

namespace stokefs::base {

class Executor {
 public:
  virtual ~Executor() = default;
  // False when the queue is full or the executor is ending; `work` is then destroyed unrun.
  virtual bool TrySubmit(std::function<void()> work) = 0;
};

enum class WorkPriority : uint8_t {
  kNormal,
  kBackground,  // runs when no normal work waits, on a part of the threads
};

// Threads start when work comes, up to `threads_max`, because most mounts never need all of them.
// A thread may block for ever in a hung file system: `Stop` therefore takes a time limit and leaves
// such threads behind; the process then has to end by `_exit`.
class ThreadPool final : public Executor {
 public:
  struct Options {
    std::string name;  // thread name, at most 15 bytes
    size_t threads_max = 1;
    size_t queue_count_max = 1024;  // waiting, not running, work; of each priority
    // How many threads background work may occupy, so that normal work finds a free one; 0: all.
    size_t background_threads_max = 0;
    bool idle_priority = false;  // SCHED_IDLE: runs only when nothing else wants the CPU
  };

  explicit ThreadPool(Options options);
  ~ThreadPool() override;  // Stop() without a limit

  bool TrySubmit(std::function<void()> work) override EXCLUDES(mu_);
  bool TrySubmit(std::function<void()> work, WorkPriority priority) EXCLUDES(mu_);

  // Drops waiting work, waits up to `limit` for running work. True when every thread has ended.
  bool Stop(std::chrono::milliseconds limit) EXCLUDES(mu_);

  size_t QueueCount() const EXCLUDES(mu_);
  size_t RunningCount() const EXCLUDES(mu_);

 private:
  struct Work {
    std::function<void()> run;
    WorkPriority priority = WorkPriority::kNormal;
  };

  void Run();
  bool StartThread() REQUIRES(mu_);
  size_t RunnableCount() const REQUIRES(mu_);
  Work TakeWork() REQUIRES(mu_);

  const Options options_;
  mutable Mutex mu_;
  CondVar work_or_stop_;
  CondVar thread_ended_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mu_);
  std::deque<std::function<void()>> background_queue_ GUARDED_BY(mu_);
  std::vector<std::thread> threads_ GUARDED_BY(mu_);
  size_t idle_count_ GUARDED_BY(mu_) = 0;
  size_t running_count_ GUARDED_BY(mu_) = 0;
  size_t background_running_count_ GUARDED_BY(mu_) = 0;  // of those
  size_t alive_count_ GUARDED_BY(mu_) = 0;
  bool stopping_ GUARDED_BY(mu_) = false;
};

// One thread that calls `tick` every `period` until it is destroyed. `tick` must not block.
class Ticker {
 public:
  Ticker(std::string name, std::chrono::milliseconds period, std::function<void()> tick);
  ~Ticker();

 private:
  void Run();

  const std::string name_;
  const std::chrono::milliseconds period_;
  const std::function<void()> tick_;
  Mutex mu_;
  CondVar stop_signal_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: starts when everything above stands
};

// Names the calling thread (as `ps -L` and fsctl show it) and blocks all signals but the fatal
// ones.
void PrepareThread(const std::string& name);

}  // namespace stokefs::base
