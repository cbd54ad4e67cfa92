#include "tools/command_call.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.h"
#include "tools/exit_status.h"

namespace stokefs::tools {
namespace {

// Polls: soon at first, because most commands are short; then often enough for a person.
constexpr useconds_t kFirstPauseUs = 2'000;
constexpr useconds_t kLastPauseUs = 200'000;
constexpr size_t kPieceBytes = 1u << 20;

base::Error OpenError(int error, const std::string& file) {
  if (error == ENOENT) return {std::errc::not_supported, "this mount takes no commands"};
  if (error == EACCES || error == EPERM) {
    return {std::errc::permission_denied, "only the mount's owner may steer it"};
  }
  return base::FailErrno(error, file).value();
}

base::Result<std::string> ReadAnswer(int fd, const std::string& file) {
  std::string answer;
  std::vector<char> piece(kPieceBytes);
  for (;;) {
    ssize_t const got = pread(fd, piece.data(), piece.size(), static_cast<off_t>(answer.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::FailErrno(errno, file);
    if (got == 0) return answer;
    answer.append(piece.data(), static_cast<size_t>(got));
  }
}

bool IsRunning(const std::string& answer) {
  auto const json = nlohmann::json::parse(answer, nullptr, false);
  return json.is_object() && json.value("state", nlohmann::json()) == "running";
}

// The child's part.
void Converse(const std::string& file, const std::string& request, TimedChild::Reporter& report) {
  for (int ending : {SIGINT, SIGTERM, SIGHUP}) signal(ending, SIG_IGN);  // its parent's to judge
  report.Step("open " + file);
  base::UniqueFd const fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.Valid()) return report.Fail(OpenError(errno, file));
  report.Step("write " + file);
  // What is wrong with the request stands in the answer too, in words.
  auto const written = base::WriteAll(fd.Get(), request + "\n");
  for (useconds_t pause_us = kFirstPauseUs;; pause_us = std::min(2 * pause_us, kLastPauseUs)) {
    report.Step("read " + file);
    auto const answer = ReadAnswer(fd.Get(), file);
    if (!answer) return report.Fail(written ? answer.error() : written.error());
    report.Answer(*answer);
    if (!IsRunning(*answer)) return;
    usleep(pause_us);
  }
}

}  // namespace

base::Result<std::unique_ptr<CommandCall>> CommandCall::Start(const KnownMount& known,
                                                              const std::string& request,
                                                              base::Duration limit) {
  auto const control = FindControl(known, limit);
  if (!control) return Pass(control.error());
  std::string const file = control->path + "/command";
  auto child =
      TimedChild::Start([&](TimedChild::Reporter& report) { Converse(file, request, report); });
  if (!child) return Pass(child.error());
  std::string const in_table = known.entry ? known.entry->control_path : control->path;
  return std::unique_ptr<CommandCall>(new CommandCall(std::move(*child), in_table));
}

base::Result<std::optional<std::string>> CommandCall::Next(base::Duration limit) {
  auto answer = child_->NextAnswer(limit);
  if (!answer && child_->late()) return NoAnswer(StuckStep(*child_, control_));
  return answer;
}

}  // namespace stokefs::tools
