// Commands that steer a running mount: carried out in the background, watched by whoever asked.
//
// A command is begun by a request, one JSON object with the verb as "command". Its state
//   running -> done | failed | cancelled
// is shown as one JSON object:
//   {"id": N, "command": VERB, "state": STATE, "progress": {...}, "result": {...}, "error": TEXT}
// where "result" is only there when it is done, "error" (and "errno") only when it is neither
// running nor done. At most `count_max` run at a time, each on a thread of its own; those that may
// take long leave `short_count_min` of the threads to the others.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/job_signal.h"
#include "base/result.h"
#include "base/sync.h"

namespace stokefs::tools {

using Json = nlohmann::ordered_json;

enum class CommandState : uint8_t { kRunning, kDone, kFailed, kCancelled };

// Thread-safe. Lock: a leaf.
class RunningCommand {
 public:
  RunningCommand(uint64_t id, std::string verb) : id_(id), verb_(std::move(verb)) {}

  // Of whoever carries it out.
  base::JobSignal& signal() { return signal_; }
  void Report(Json progress) EXCLUDES(mu_);
  void End(base::Result<Json> result) EXCLUDES(mu_);  // ECANCELED: cancelled

  // Of whoever asked.
  void Cancel() { signal_.Cancel(); }
  CommandState state() const EXCLUDES(mu_);
  Json Show() const EXCLUDES(mu_);
  std::string Text() const;  // Show, with a newline

 private:
  const uint64_t id_;
  const std::string verb_;
  base::JobSignal signal_;
  mutable base::Mutex mu_;
  CommandState state_ GUARDED_BY(mu_) = CommandState::kRunning;
  Json progress_ GUARDED_BY(mu_) = Json::object();
  Json result_ GUARDED_BY(mu_);
  base::Error error_ GUARDED_BY(mu_);
};

enum class CommandLength : uint8_t { kShort, kLong };

// What a request turns into. `run` is called on a thread of the runner; it looks at the signal and
// ends soon after it is cancelled, with ECANCELED.
struct CommandWork {
  std::function<base::Result<Json>(RunningCommand&)> run;
  CommandLength length = CommandLength::kShort;
  bool in_background = false;  // it goes on when whoever asked is gone
};

// Turns a request into work, or says what is wrong with it (EINVAL). Does not wait.
using CommandParser = std::function<base::Result<CommandWork>(const Json& request)>;

class CommandRunner {
 public:
  struct Options {
    size_t count_max = 8;
    size_t short_count_min = 2;
  };
  CommandRunner(Options options, std::map<std::string, CommandParser> verbs);
  ~CommandRunner();

  struct Started {
    std::shared_ptr<RunningCommand> command;  // never null; has failed when it could not begin
    bool in_background = false;
    int refused = 0;  // why it could not begin, an errno
  };
  // Does not wait. EBUSY (as the command's error) when too many run.
  Started Start(const std::string& request_text) EXCLUDES(mu_);
  Started StartParsed(const Json& request) EXCLUDES(mu_);

  // Cancels all and begins no more; does not wait.
  void CancelAll() EXCLUDES(mu_);
  // The same; false when a thread is still busy after `limit`.
  bool Stop(std::chrono::milliseconds limit) EXCLUDES(mu_);

 private:
  base::Status Begin(const std::shared_ptr<RunningCommand>& command, CommandWork work)
      EXCLUDES(mu_);

  const Options options_;
  const std::map<std::string, CommandParser> verbs_;
  base::Mutex mu_;
  uint64_t next_id_ GUARDED_BY(mu_) = 1;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::vector<std::shared_ptr<RunningCommand>> running_ GUARDED_BY(mu_);
  size_t long_count_ GUARDED_BY(mu_) = 0;
  base::ThreadPool pool_;  // last: its threads use the above
};

}  // namespace stokefs::tools
