#include "base/executor.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace stokefs::base {

void PrepareThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT}) sigaddset(&blocked, signal);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

namespace {

ThreadPool::Options Settled(ThreadPool::Options options) {
  if (options.background_threads_max == 0) options.background_threads_max = options.threads_max;
  return options;
}

}  // namespace

ThreadPool::ThreadPool(Options options) : options_(Settled(std::move(options))) {}

ThreadPool::~ThreadPool() { Stop(std::chrono::hours(24)); }

bool ThreadPool::TrySubmit(std::function<void()> work) {
  return TrySubmit(std::move(work), WorkPriority::kNormal);
}

bool ThreadPool::TrySubmit(std::function<void()> work, WorkPriority priority) {
  MutexLock lock(mu_);
  auto& queue = priority == WorkPriority::kNormal ? queue_ : background_queue_;
  if (stopping_ || queue.size() >= options_.queue_count_max) return false;
  queue.push_back(std::move(work));
  if (RunnableCount() > idle_count_ && threads_.size() < options_.threads_max && !StartThread() &&
      alive_count_ == 0) {
    queue.pop_back();
    return false;
  }
  work_or_stop_.Signal();
  return true;
}

// How much of what waits could run now, given threads.
size_t ThreadPool::RunnableCount() const {
  return queue_.size() + std::min(background_queue_.size(),
                                  options_.background_threads_max - background_running_count_);
}

ThreadPool::Work ThreadPool::TakeWork() {
  Work work;
  work.priority = queue_.empty() ? WorkPriority::kBackground : WorkPriority::kNormal;
  auto& queue = queue_.empty() ? background_queue_ : queue_;
  work.run = std::move(queue.front());
  queue.pop_front();
  ++running_count_;
  if (work.priority == WorkPriority::kBackground) ++background_running_count_;
  return work;
}

// False when the system has no thread left to give: those that are there do the work.
bool ThreadPool::StartThread() {
  try {
    threads_.emplace_back([this] { Run(); });
  } catch (const std::system_error&) {
    return false;
  }
  ++alive_count_;
  return true;
}

void ThreadPool::Run() {
  PrepareThread(options_.name);
  if (options_.idle_priority) {
    sched_param const parameter{};
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &parameter);
  }
  for (;;) {
    Work work;
    {
      MutexLock lock(mu_);
      ++idle_count_;
      while (RunnableCount() == 0 && !stopping_) work_or_stop_.Wait(mu_);
      --idle_count_;
      if (stopping_) {
        --alive_count_;
        thread_ended_.SignalAll();
        return;
      }
      work = TakeWork();
    }
    work.run();
    work.run = nullptr;  // what it captured ends before the thread counts as free
    MutexLock lock(mu_);
    --running_count_;
    if (work.priority == WorkPriority::kBackground) --background_running_count_;
  }
}

bool ThreadPool::Stop(std::chrono::milliseconds limit) {
  std::deque<std::function<void()>> dropped, dropped_background;
  std::vector<std::thread> threads;
  bool all_ended = false;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    dropped.swap(queue_);
    dropped_background.swap(background_queue_);
    work_or_stop_.SignalAll();
    auto const end = std::chrono::steady_clock::now() + limit;
    while (alive_count_ > 0) {
      auto const left = end - std::chrono::steady_clock::now();
      if (left <= left.zero()) break;
      thread_ended_.WaitFor(mu_, left);
    }
    all_ended = alive_count_ == 0;
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) {
    if (all_ended) {
      thread.join();
    } else {
      thread.detach();
    }
  }
  return all_ended;
}

size_t ThreadPool::QueueCount() const {
  MutexLock lock(mu_);
  return queue_.size() + background_queue_.size();
}

size_t ThreadPool::RunningCount() const {
  MutexLock lock(mu_);
  return running_count_;
}

Ticker::Ticker(std::string name, std::chrono::milliseconds period, std::function<void()> tick)
    : name_(std::move(name)), period_(period), tick_(std::move(tick)), thread_([this] { Run(); }) {}

Ticker::~Ticker() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    stop_signal_.SignalAll();
  }
  thread_.join();
}

void Ticker::Run() {
  PrepareThread(name_);
  for (;;) {
    {
      MutexLock lock(mu_);
      if (!stopping_) stop_signal_.WaitFor(mu_, period_);
      if (stopping_) return;
    }
    tick_();
  }
}

}  // namespace stokefs::base
