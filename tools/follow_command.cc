#include "tools/follow_command.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <utility>

#include "tools/command_call.h"
#include "tools/exit_status.h"
#include "tools/stuck_report.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::ordered_json;
using SteadyTime = std::chrono::steady_clock;

constexpr std::chrono::seconds kLinePeriod(2);

std::atomic<bool> interrupted{false};  // set by the handler: nothing else can be told to it

void CatchInterrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = true; };
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

class ProgressLine {
 public:
  void Show(const std::string& text) {
    if (text.empty()) return;
    auto const now = SteadyTime::now();
    if (is_terminal_) {
      std::fprintf(stderr, "\r\033[K%s", text.c_str());
      is_open_ = true;
    } else if (now - last_ >= kLinePeriod) {
      std::fprintf(stderr, "%s\n", text.c_str());
      last_ = now;
    }
  }
  void End() {
    if (is_open_) std::fputs("\r\033[K", stderr);
    is_open_ = false;
  }

 private:
  const bool is_terminal_ = isatty(STDERR_FILENO) != 0;
  bool is_open_ = false;
  SteadyTime::time_point last_{};  // long ago
};

// The errors that are wrong usage or wrong words to the daemon, and those that are not.
int StatusOf(const Json& answer) {
  return answer.value("errno", 0) == EINVAL ? kExitRefused : kExitFailed;
}

}  // namespace

int Say(const std::string& text, int status) {
  std::fprintf(stderr, "fsctl: %s\n", text.c_str());
  return status;
}

int SayFailure(const KnownMount& known, const base::Error& error) {
  if (error.code == std::errc::timed_out)
    return Say(StuckReport(known, error.message, ""), kExitNoAnswer);
  if (error.code == std::errc::not_connected || error.code == std::errc::connection_aborted)
    return Say(known.mount_point + " is stale: its daemon is gone; stokefs unmount " +
                   known.mount_point + " takes it away",
               kExitFailed);
  return Say(error.message, kExitFailed);
}

FoundMount FindMountOrSay(const std::string& path) {
  auto known = FindMount(path, kLookUpLimit);
  if (!known) return {std::nullopt, Say(known.error().message, ExitStatusOf(known.error()))};
  return {*std::move(known), kExitDone};
}

Ended FollowCommand(const KnownMount& known, const FollowedCommand& command) {
  CatchInterrupts();
  auto const start = SteadyTime::now();
  auto call = CommandCall::Start(known, command.request.dump(), kFirstAnswerLimit);
  if (!call) return {.status = SayFailure(known, call.error()), .result = {}};
  base::Duration limit = kFirstAnswerLimit - (SteadyTime::now() - start);
  ProgressLine progress;
  Json last;
  for (;;) {
    auto const text = (*call)->Next(limit);
    limit = kAnswerLimit;
    if (!text || !*text) progress.End();
    if (!text) return {.status = SayFailure(known, text.error()), .result = {}};
    if (!*text) break;
    last = Json::parse(**text, nullptr, false);
    if (!last.is_object())
      return {.status = Say("the daemon's answer is no JSON", kExitFailed), .result = {}};
    bool const is_running = last.value("state", "") == "running";
    if (is_running && interrupted) {
      progress.End();
      return {
          Say("cancelled" + (command.when_cancelled.empty() ? "" : ": " + command.when_cancelled),
              kExitFailed),
          {}};
    }
    if (is_running && command.progress_text) {
      progress.Show(command.progress_text(last.value("progress", Json::object())));
    }
    if (is_running && command.until == FollowUntil::kBegun && !last["progress"].empty()) {
      progress.End();
      return {.status = kExitDone, .result = {}, .is_running = true};
    }
  }
  if (last.value("state", "") == "done") return {kExitDone, last.value("result", Json::object())};
  return {Say(last.value("error", "the daemon says no reason"), StatusOf(last)), {}};
}

}  // namespace stokefs::tools
