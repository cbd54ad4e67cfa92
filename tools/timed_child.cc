#include "tools/timed_child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "tools/exit_status.h"

namespace stokefs::tools {
namespace {

// A frame: its kind, the length of its bytes in host order, its bytes.
constexpr char kStep = 's';
constexpr char kOutput = 'o';
constexpr char kAnswer = 'a';
constexpr char kError = 'e';  // an errno in host order, then the message
constexpr char kDone = 'd';
constexpr size_t kHeaderBytes = 1 + sizeof(uint32_t);

std::string Raw(uint32_t value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

uint32_t Cooked(const char* raw) {
  uint32_t value = 0;
  std::memcpy(&value, raw, sizeof value);
  return value;
}

// Nobody may wait for a pipe's end that a stuck child still holds open.
void KeepOnly(int fd) {
  int const null = open("/dev/null", O_RDWR);
  for (int standard = 0; standard <= 2; ++standard) dup2(null, standard);
  dup2(fd, 3);
  close_range(4, ~0u, 0);
}

}  // namespace

void TimedChild::Reporter::Send(char kind, std::string_view bytes) {
  std::string frame(1, kind);
  frame += Raw(static_cast<uint32_t>(bytes.size()));
  frame += bytes;
  if (!base::WriteAll(fd_, frame)) _exit(0);  // nobody listens any more
}

void TimedChild::Reporter::Step(std::string_view text) { Send(kStep, text); }
void TimedChild::Reporter::Output(std::string_view bytes) { Send(kOutput, bytes); }
void TimedChild::Reporter::Answer(std::string_view bytes) { Send(kAnswer, bytes); }
void TimedChild::Reporter::Fail(const base::Error& error) {
  Send(kError, Raw(static_cast<uint32_t>(error.Errno())) + error.message);
}

base::Result<std::unique_ptr<TimedChild>> TimedChild::Start(const Work& work) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return base::FailErrno(errno, "a pipe");
  base::UniqueFd from(ends[0]);
  base::UniqueFd to(ends[1]);
  pid_t const pid = fork();
  if (pid < 0) return base::FailErrno(errno, "a child process");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    KeepOnly(to.Release());
    Reporter report(3);
    work(report);
    std::string const done = std::string(1, kDone) + Raw(0);
    (void)!write(3, done.data(), done.size());
    _exit(0);
  }
  return std::unique_ptr<TimedChild>(new TimedChild(pid, std::move(from)));
}

TimedChild::~TimedChild() {
  kill(pid_, SIGKILL);
  // One that answered is about to be gone. A late one may be unkillable and is then left to init;
  // 100 ms are plenty for one that can die, and fsctl's 2 s have room for two of them.
  int const wait_ms = late_ ? 100 : 2000;
  for (int i = 0; i < wait_ms && waitpid(pid_, nullptr, WNOHANG) == 0; ++i) usleep(1000);
}

void TimedChild::Take(std::string_view arrived) {
  pending_ += arrived;
  while (pending_.size() >= kHeaderBytes) {
    size_t const length = Cooked(pending_.data() + 1);
    if (pending_.size() < kHeaderBytes + length) return;
    std::string const bytes = pending_.substr(kHeaderBytes, length);
    char const kind = pending_[0];
    pending_.erase(0, kHeaderBytes + length);
    if (kind == kStep) step_ = bytes;
    if (kind == kOutput) output_ += bytes;
    if (kind == kAnswer) answers_.push_back(bytes);
    if (kind == kError && length >= 4 && !error_)
      error_ = base::Error{static_cast<std::errc>(Cooked(bytes.data())), bytes.substr(4)};
    if (kind == kDone) done_ = true;
  }
}

// False when the child will send no more.
base::Result<bool> TimedChild::Receive(std::chrono::steady_clock::time_point deadline) {
  std::array<char, 65536> piece;
  for (;;) {
    auto const left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable{.fd = from_.Get(), .events = POLLIN, .revents = 0};
    int const ready = left.count() <= 0 ? 0 : poll(&readable, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      late_ = true;
      return NoAnswer("no answer in time: " + step_);
    }
    ssize_t const got = read(from_.Get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    Take({piece.data(), static_cast<size_t>(got)});
    return true;
  }
}

base::Result<std::string> TimedChild::Wait(base::Duration limit) {
  auto const deadline = std::chrono::steady_clock::now() + limit;
  while (!done_) {
    auto const received = Receive(deadline);
    if (!received) return Pass(received.error());
    if (!*received) break;
  }
  if (error_) return Pass(*error_);
  if (!done_) return base::Fail(std::errc::io_error, "a child process died: " + step_);
  return std::move(output_);
}

base::Result<std::optional<std::string>> TimedChild::NextAnswer(base::Duration limit) {
  auto const deadline = std::chrono::steady_clock::now() + limit;
  while (answers_.empty() && !done_) {
    auto const received = Receive(deadline);
    if (!received) return Pass(received.error());
    if (!*received) break;
  }
  if (!answers_.empty()) {
    std::string answer = std::move(answers_.front());
    answers_.pop_front();
    return std::optional<std::string>(std::move(answer));
  }
  if (error_) return Pass(*error_);
  if (!done_) return base::Fail(std::errc::io_error, "a child process died: " + step_);
  return std::optional<std::string>();
}

base::Result<std::string> RunTimed(base::Duration limit, const TimedChild::Work& work) {
  auto child = TimedChild::Start(work);
  if (!child) return base::Wrap(std::move(child).error(), "cannot ask");
  return (*child)->Wait(limit);
}

}  // namespace stokefs::tools
