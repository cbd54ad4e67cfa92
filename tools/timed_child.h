// Asks a question that may never be answered: work done in a forked child, waited for with a limit.
//
// A system call on a mount that hangs cannot be called off, so it is never made by the process that
// has to answer the user. The child tells each step before it takes it; when it is late, the last
// step is what hangs. A late child is killed and left, never waited for: it may be unkillable.
// Only for processes without other threads. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"

namespace stokefs::tools {

class TimedChild {
 public:
  // The child's side.
  class Reporter {
   public:
    explicit Reporter(int fd) : fd_(fd) {}
    void Step(std::string_view text);     // what is tried next
    void Output(std::string_view bytes);  // a piece of the answer
    void Answer(std::string_view bytes);  // one of several whole answers
    void Fail(const base::Error& error);

   private:
    void Send(char kind, std::string_view bytes);
    int fd_;
  };
  using Work = std::function<void(Reporter&)>;

  // `work` runs in the child, which has no descriptors but its report and /dev/null.
  static base::Result<std::unique_ptr<TimedChild>> Start(const Work& work);
  ~TimedChild();
  TimedChild(const TimedChild&) = delete;
  TimedChild& operator=(const TimedChild&) = delete;

  // All of the output; or the error that the child reported; or timed_out, saying the last step.
  base::Result<std::string> Wait(base::Duration limit);
  // The next of several answers, none when the child has ended; or an error, as Wait.
  base::Result<std::optional<std::string>> NextAnswer(base::Duration limit);
  bool late() const { return late_; }  // Wait or NextAnswer gave up
  const std::string& step() const { return step_; }

 private:
  TimedChild(pid_t pid, base::UniqueFd from) : pid_(pid), from_(std::move(from)) {}
  base::Result<bool> Receive(std::chrono::steady_clock::time_point deadline);
  void Take(std::string_view arrived);

  pid_t pid_;
  base::UniqueFd from_;
  bool late_ = false;
  std::string pending_;  // a frame's first part
  std::string step_;
  std::string output_;
  std::deque<std::string> answers_;
  std::optional<base::Error> error_;
  bool done_ = false;
};

// Start and Wait in one.
base::Result<std::string> RunTimed(base::Duration limit, const TimedChild::Work& work);

}  // namespace stokefs::tools
