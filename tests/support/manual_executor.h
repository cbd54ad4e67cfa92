// An executor whose work runs when the test says so, on the test's thread.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "base/executor.h"

namespace stokefs::testing {

class ManualExecutor final : public base::Executor {
 public:
  bool TrySubmit(std::function<void()> work) override {
    if (full) return false;
    queue_.push_back(std::move(work));
    return true;
  }
  // Runs one piece; false when there was none.
  bool RunOne() {
    if (queue_.empty()) return false;
    auto work = std::move(queue_.front());
    queue_.pop_front();
    work();
    return true;
  }
  void RunAll() {
    while (RunOne()) {
    }
  }
  size_t QueueCount() const { return queue_.size(); }

  bool full = false;

 private:
  std::deque<std::function<void()>> queue_;
};

}  // namespace stokefs::testing
