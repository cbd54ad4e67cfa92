#include "tools/command_runner.h"

#include <cerrno>
#include <utility>

namespace stokefs::tools {
namespace {

constexpr int kDepthMax = 3;  // {"paths": [{"hex": ...}]}

const char* NameOf(CommandState state) {
  switch (state) {
    case CommandState::kRunning:
      return "running";
    case CommandState::kDone:
      return "done";
    case CommandState::kFailed:
      return "failed";
    case CommandState::kCancelled:
      return "cancelled";
  }
  return "?";
}

base::Error Invalid(std::string message) {
  return {std::errc::invalid_argument, std::move(message)};
}

}  // namespace

void RunningCommand::Report(Json progress) {
  base::MutexLock lock(mu_);
  progress_ = std::move(progress);
}

void RunningCommand::End(base::Result<Json> result) {
  base::MutexLock lock(mu_);
  if (result) {
    state_ = CommandState::kDone;
    result_ = std::move(*result);
    return;
  }
  bool const is_cancelled = result.error().code == std::errc::operation_canceled;
  state_ = is_cancelled ? CommandState::kCancelled : CommandState::kFailed;
  error_ = std::move(result.error());
}

CommandState RunningCommand::state() const {
  base::MutexLock lock(mu_);
  return state_;
}

Json RunningCommand::Show() const {
  base::MutexLock lock(mu_);
  Json shown = {
      {"id", id_}, {"command", verb_}, {"state", NameOf(state_)}, {"progress", progress_}};
  if (state_ == CommandState::kDone) shown["result"] = result_;
  if (state_ == CommandState::kFailed || state_ == CommandState::kCancelled) {
    shown["error"] = error_.message;
    shown["errno"] = error_.Errno();
  }
  return shown;
}

std::string RunningCommand::Text() const {
  return Show().dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

CommandRunner::CommandRunner(Options options, std::map<std::string, CommandParser> verbs)
    : options_(options),
      verbs_(std::move(verbs)),
      pool_({.name = "command",
             .threads_max = options.count_max,
             // A thread counts as busy for a moment after its command has ended.
             .queue_count_max = options.count_max}) {}

CommandRunner::~CommandRunner() { Stop(std::chrono::hours(24)); }

CommandRunner::Started CommandRunner::Start(const std::string& request_text) {
  // What lies deeper than any request does is not even built.
  auto const is_wanted = [](int depth, Json::parse_event_t, Json&) { return depth <= kDepthMax; };
  return StartParsed(Json::parse(request_text, is_wanted, false));
}

CommandRunner::Started CommandRunner::StartParsed(const Json& request) {
  std::string verb;
  base::Result<CommandWork> work;
  if (request.is_discarded()) {
    work = tl::unexpected<base::Error>(Invalid("the request is not JSON"));
  } else if (!request.is_object() || !request.contains("command") ||
             !request["command"].is_string()) {
    work = tl::unexpected<base::Error>(Invalid("the request is no object with a \"command\""));
  } else {
    verb = request["command"].get<std::string>();
    auto const parser = verbs_.find(verb);
    work = parser == verbs_.end() ? tl::unexpected<base::Error>(Invalid("no such command: " + verb))
                                  : parser->second(request);
  }
  uint64_t id = 0;
  {
    base::MutexLock lock(mu_);
    id = next_id_++;
  }
  Started started{.command = std::make_shared<RunningCommand>(id, verb)};
  if (!work) {
    started.refused = work.error().Errno();
    started.command->End(tl::unexpected<base::Error>(std::move(work.error())));
    return started;
  }
  started.in_background = work->in_background;
  if (auto begun = Begin(started.command, std::move(*work)); !begun) {
    started.refused = begun.error().Errno();
    started.command->End(tl::unexpected<base::Error>(std::move(begun.error())));
  }
  return started;
}

base::Status CommandRunner::Begin(const std::shared_ptr<RunningCommand>& command,
                                  CommandWork work) {
  bool const is_long = work.length == CommandLength::kLong;
  base::MutexLock lock(mu_);
  if (stopping_) return base::Fail(std::errc::operation_canceled, "the mount is ending");
  bool const is_full = running_.size() >= options_.count_max;
  if (is_full || (is_long && long_count_ + options_.short_count_min >= options_.count_max)) {
    return base::Fail(std::errc::device_or_resource_busy, "too many commands are running");
  }
  bool const is_submitted =
      pool_.TrySubmit([this, command, run = std::move(work.run), is_long]() EXCLUDES(mu_) {
        command->End(command->signal().IsCancelled()
                         ? base::Fail(std::errc::operation_canceled, "cancelled")
                         : run(*command));
        base::MutexLock done_lock(mu_);
        std::erase(running_, command);
        if (is_long) --long_count_;
      });
  if (!is_submitted) {
    return base::Fail(std::errc::device_or_resource_busy, "too many commands are running");
  }
  running_.push_back(command);
  if (is_long) ++long_count_;
  return {};
}

void CommandRunner::CancelAll() {
  std::vector<std::shared_ptr<RunningCommand>> running;
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
    running = running_;
  }
  for (auto const& command : running) command->Cancel();
}

bool CommandRunner::Stop(std::chrono::milliseconds limit) {
  CancelAll();
  std::vector<std::shared_ptr<RunningCommand>> running;
  {
    base::MutexLock lock(mu_);
    running = running_;
  }
  bool const ended = pool_.Stop(limit);
  // The pool drops what it has not begun.
  for (auto const& command : running) {
    if (ended && command->state() == CommandState::kRunning) {
      command->End(base::Fail(std::errc::operation_canceled, "the mount is ending"));
    }
  }
  return ended;
}

}  // namespace stokefs::tools
