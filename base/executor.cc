#include "base/executor.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

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

ThreadPool::ThreadPool(Options options) : options_(std::move(options)) {}

ThreadPool::~ThreadPool() { Stop(std::chrono::hours(24)); }

bool ThreadPool::TrySubmit(std::function<void()> work) {
  MutexLock lock(mu_);
  if (stopping_ || queue_.size() >= options_.queue_count_max) return false;
  queue_.push_back(std::move(work));
  if (queue_.size() > idle_count_ && threads_.size() < options_.threads_max && !StartThread() &&
      alive_count_ == 0) {
    queue_.pop_back();
    return false;
  }
  work_or_stop_.Signal();
  return true;
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
    std::function<void()> work;
    {
      MutexLock lock(mu_);
      ++idle_count_;
      while (queue_.empty() && !stopping_) work_or_stop_.Wait(mu_);
      --idle_count_;
      if (stopping_) {
        --alive_count_;
        thread_ended_.SignalAll();
        return;
      }
      work = std::move(queue_.front());
      queue_.pop_front();
      ++running_count_;
    }
    work();
    work = nullptr;  // what it captured ends before the thread counts as free
    MutexLock lock(mu_);
    --running_count_;
  }
}

bool ThreadPool::Stop(std::chrono::milliseconds limit) {
  std::deque<std::function<void()>> dropped;
  std::vector<std::thread> threads;
  bool all_ended = false;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    dropped.swap(queue_);
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
  return queue_.size();
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
