#include "tools/process_state.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <sstream>

#include "base/file.h"
#include "tools/mount_table.h"

namespace stokefs::tools {
namespace {

std::string ProcPath(pid_t pid, std::string_view name) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(name);
}

std::string ReadOrEmpty(const std::string& path) {
  auto text = base::ReadFile(path);
  return text ? *std::move(text) : std::string();
}

std::vector<std::string> Names(const std::string& folder) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> const open(opendir(folder.c_str()), closedir);
  if (!open) return names;
  while (const dirent* entry = readdir(open.get()))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  return names;
}

std::optional<pid_t> ParsePid(const std::string& name) {
  pid_t pid = 0;
  auto const [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc{} || end != name.data() + name.size()) return {};
  return pid;
}

uint64_t SignalBit(int number) { return uint64_t{1} << (number - 1); }

// SigPnd: of the main thread, ShdPnd: of the process; hexadecimal.
bool HasFatalSignal(const std::string& status) {
  uint64_t pending = 0;
  for (std::string_view const key : {"\nSigPnd:", "\nShdPnd:"}) {
    size_t const at = status.find(key);
    if (at != std::string::npos) pending |= strtoull(status.c_str() + at + key.size(), nullptr, 16);
  }
  return (pending & (SignalBit(SIGKILL) | SignalBit(SIGTERM) | SignalBit(SIGINT))) != 0;
}

std::optional<std::string> LinkText(const std::string& path) {
  std::array<char, 4097> text{};
  ssize_t const length = readlink(path.c_str(), text.data(), text.size() - 1);
  if (length < 0) return {};
  return std::string(text.data(), static_cast<size_t>(length));
}

std::optional<std::string> PathUsedBy(pid_t pid, const std::string& path) {
  for (const char* name : {"cwd", "root", "exe"}) {
    auto link = LinkText(ProcPath(pid, name));
    if (link && IsAtOrBelow(*link, path)) return link;
  }
  for (const std::string& name : Names(ProcPath(pid, "fd"))) {
    auto link = LinkText(ProcPath(pid, "fd/" + name));
    if (link && IsAtOrBelow(*link, path)) return link;
  }
  std::istringstream maps(ReadOrEmpty(ProcPath(pid, "maps")));
  for (std::string line; std::getline(maps, line);) {
    size_t const at = line.find('/');
    if (at != std::string::npos && IsAtOrBelow(line.substr(at), path)) return line.substr(at);
  }
  return {};
}

}  // namespace

std::optional<ProcessState> ReadProcess(pid_t pid) {
  std::string const stat = ReadOrEmpty(ProcPath(pid, "stat"));
  // "pid (name) state ..."; the name may hold blanks and brackets. start_ticks is field 22.
  size_t const open = stat.find('(');
  size_t const close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size())
    return {};
  ProcessState process{.pid = pid, .name = stat.substr(open + 1, close - open - 1)};
  std::istringstream fields(stat.substr(close + 2));
  fields >> process.state;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  fields >> process.start_ticks;
  process.fatal_signal = HasFatalSignal(ReadOrEmpty(ProcPath(pid, "status")));
  return process;
}

bool IsRunning(pid_t pid, uint64_t start_ticks) {
  auto const process = ReadProcess(pid);
  return process && !process->Dead() && process->start_ticks == start_ticks;
}

bool WaitForEnd(pid_t pid, uint64_t start_ticks, base::Duration limit) {
  auto const deadline = std::chrono::steady_clock::now() + limit;
  base::UniqueFd const process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  while (IsRunning(pid, start_ticks)) {
    auto const left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd ended{.fd = process.Get(), .events = POLLIN, .revents = 0};
    // At most 50 ms at once: a pidfd may be missing, or that of a process that is half dead.
    poll(&ended, 1, static_cast<int>(std::min<int64_t>(left.count(), 50)));
  }
  return true;
}

std::string StateText(char state) {
  switch (state) {
    case 'R':
      return "running (R)";
    case 'S':
      return "waiting (S)";
    case 'D':
      return "waiting, cannot be interrupted (D)";
    case 'T':
      return "stopped (T)";
    case 't':
      return "stopped by a debugger (t)";
    case 'Z':
      return "dead, not yet reaped (Z)";
    default:
      return std::string("in state ") + state;
  }
}

std::string CommandLine(pid_t pid) {
  std::string line = ReadOrEmpty(ProcPath(pid, "cmdline"));
  while (!line.empty() && line.back() == '\0') line.pop_back();
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < ' '; }, ' ');
  if (!line.empty()) return line;
  auto const process = ReadProcess(pid);
  return process ? process->name : "";
}

std::vector<ThreadWait> ReadThreads(pid_t pid, size_t count_max) {
  std::vector<ThreadWait> threads;
  for (const std::string& name : Names(ProcPath(pid, "task"))) {
    if (threads.size() == count_max) break;
    auto const tid = ParsePid(name);
    if (!tid) continue;
    std::string const folder = ProcPath(pid, "task/" + name);
    std::string where = ReadOrEmpty(folder + "/wchan");
    if (where == "0") where.clear();
    std::string const stat = ReadOrEmpty(folder + "/stat");
    size_t const close = stat.rfind(')');
    bool const has_state = close != std::string::npos && close + 2 < stat.size();
    threads.push_back({*tid, where, has_state ? stat[close + 2] : '?'});
  }
  return threads;
}

std::vector<PathUser> FindUsers(const std::string& path, base::Duration limit) {
  auto const deadline = std::chrono::steady_clock::now() + limit;
  std::vector<PathUser> users;
  for (const std::string& name : Names("/proc")) {
    if (std::chrono::steady_clock::now() >= deadline) break;
    auto const pid = ParsePid(name);
    if (!pid || *pid == getpid()) continue;
    auto what = PathUsedBy(*pid, path);
    if (!what) continue;
    auto const process = ReadProcess(*pid);
    users.push_back({*pid, process ? process->name : "", *std::move(what)});
  }
  return users;
}

}  // namespace stokefs::tools
