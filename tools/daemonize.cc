#include "tools/daemonize.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "tools/exit_status.h"
#include "tools/process_state.h"

namespace stokefs::tools {
namespace {

void Say(const std::string& text) { std::fprintf(stderr, "stokefs: %s\n", text.c_str()); }

// One line a message: its kind, a number (milliseconds or an errno), a blank, the text.
constexpr char kNote = 'n';
constexpr char kWait = 'w';
constexpr char kReady = 'r';
constexpr char kFail = 'f';

class PipeReport final : public StartReport {
 public:
  explicit PipeReport(base::UniqueFd to) : to_(std::move(to)) {}

  void Note(const std::string& text) override { Send(kNote, 0, text); }
  void Wait(const std::string& text, base::Duration more) override {
    Send(kWait, std::chrono::ceil<std::chrono::milliseconds>(more).count(), text);
  }
  void Ready() override {
    Send(kReady, 0, "");
    to_.Reset();
  }
  void Fail(const base::Error& error) override {
    Send(kFail, error.Errno(), error.message);
    to_.Reset();
  }

 private:
  void Send(char kind, int64_t number, std::string text) {
    for (char& c : text)
      if (c == '\n') c = ' ';
    std::string const line = kind + std::to_string(number) + " " + text + "\n";
    // The command was interrupted: nobody wants this mount any more.
    if (to_.Valid() && !base::WriteAll(to_.Get(), line)) kill(getpid(), SIGTERM);
  }

  base::UniqueFd to_;
};

// Closes what the caller's shell or test left open, keeps the pipe.
base::UniqueFd DetachFromCaller(base::UniqueFd to) {
  setsid();
  (void)!chdir("/");
  int const null = open("/dev/null", O_RDWR);
  for (int standard = 0; standard <= 2; ++standard) dup2(null, standard);
  if (null > 2) close(null);
  int const kept = 3;
  if (to.Get() != kept) {
    dup2(to.Get(), kept);
    to.Reset();
    to = base::UniqueFd(kept);
  }
  fcntl(kept, F_SETFD, FD_CLOEXEC);
  close_range(kept + 1, ~0u, 0);
  signal(SIGPIPE, SIG_IGN);
  return to;
}

struct Message {
  char kind;
  int64_t number;
  std::string text;
};

// The command's side of the pipe.
class Waiter {
 public:
  Waiter(base::UniqueFd from, base::Duration limit)
      : from_(std::move(from)), deadline_(std::chrono::steady_clock::now() + limit) {}

  // None when the child is gone; a failure when it is late.
  base::Result<std::optional<Message>> Next() {
    for (;;) {
      size_t const end = pending_.find('\n');
      if (end != std::string::npos) {
        Message message{pending_[0], 0, ""};
        size_t const blank = pending_.find(' ');
        std::from_chars(pending_.data() + 1, pending_.data() + blank, message.number);
        message.text = pending_.substr(blank + 1, end - blank - 1);
        pending_.erase(0, end + 1);
        return std::optional(message);
      }
      auto const left = std::chrono::ceil<std::chrono::milliseconds>(
          deadline_ - std::chrono::steady_clock::now());
      pollfd readable{.fd = from_.Get(), .events = POLLIN, .revents = 0};
      int const ready = left.count() <= 0 ? 0 : poll(&readable, 1, static_cast<int>(left.count()));
      if (ready == 0) return NoAnswer("the mount did not answer in time");
      std::array<char, 4096> piece{};
      ssize_t const got = ready < 0 ? -1 : read(from_.Get(), piece.data(), piece.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return std::optional<Message>();
      pending_.append(piece.data(), static_cast<size_t>(got));
    }
  }
  void Extend(base::Duration more) { deadline_ += more; }

 private:
  base::UniqueFd from_;
  std::chrono::steady_clock::time_point deadline_;
  std::string pending_;
};

// Its status is left for waitpid.
bool AwaitEnd(pid_t child, base::Duration limit) {
  auto const process = ReadProcess(child);
  return !process || WaitForEnd(child, process->start_ticks, limit);
}

void End(pid_t child) {
  kill(child, SIGKILL);
  AwaitEnd(child, std::chrono::seconds(1));
}

std::string EndText(pid_t child) {
  int status = 0;
  // It closed its pipe, so it ends, or is ended.
  if (!AwaitEnd(child, std::chrono::seconds(1))) End(child);
  if (waitpid(child, &status, WNOHANG) == child && WIFSIGNALED(status))
    return "the daemon was killed by signal " + std::to_string(WTERMSIG(status)) +
           " before the mount answered";
  return "the daemon ended before the mount answered";
}

int WaitUntilReady(pid_t child, base::UniqueFd from, base::Duration limit,
                   const std::function<void(pid_t)>& clean_up) {
  Waiter waiter(std::move(from), limit);
  for (;;) {
    auto const message = waiter.Next();
    if (!message) {
      Say(message.error().message);
      End(child);
      clean_up(child);
      return kExitNoAnswer;
    }
    if (!*message) {
      Say(EndText(child));
      clean_up(child);
      return kExitFailed;
    }
    switch ((*message)->kind) {
      case kReady:
        return kExitDone;
      case kFail:
        Say((*message)->text);
        // It has put its things away before it said so; nothing of it is left when we return.
        AwaitEnd(child, std::chrono::seconds(2));
        return ExitStatusOf({static_cast<std::errc>((*message)->number), ""});
      case kWait:
        waiter.Extend(std::chrono::milliseconds((*message)->number));
        [[fallthrough]];
      default:
        Say((*message)->text);
    }
  }
}

}  // namespace

void ForegroundReport::Note(const std::string& text) { Say(text); }
void ForegroundReport::Wait(const std::string& text, base::Duration) { Say(text); }
void ForegroundReport::Fail(const base::Error& error) { Say(error.message); }

int RunInBackground(const DaemonBody& body, base::Duration limit,
                    const std::function<void(pid_t)>& clean_up) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    Say(base::FailErrno(errno, "a pipe").value().message);
    return kExitFailed;
  }
  base::UniqueFd from(ends[0]);
  base::UniqueFd to(ends[1]);
  pid_t const child = fork();
  if (child < 0) {
    Say(base::FailErrno(errno, "a child process").value().message);
    return kExitFailed;
  }
  if (child != 0) {
    to.Reset();
    return WaitUntilReady(child, std::move(from), limit, clean_up);
  }
  from.Reset();
  PipeReport report(DetachFromCaller(std::move(to)));
  return body(report);
}

}  // namespace stokefs::tools
