// What /proc says of a process. Reading it never waits for that process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace stokefs::tools {

struct ProcessState {
  pid_t pid = 0;
  char state = '?';           // 'R', 'S', 'D', 'T' (stopped), 'Z' (dead, not yet reaped), ...
  uint64_t start_ticks = 0;   // since boot; with the pid it names one process for ever
  std::string name;           // comm: at most 15 bytes
  bool fatal_signal = false;  // a SIGKILL, SIGTERM or SIGINT is on its way

  bool Dead() const { return state == 'Z' || state == 'X'; }
};

std::optional<ProcessState> ReadProcess(pid_t pid);  // none: there is no such process

// True while that very process runs; a zombie and a reused pid do not.
bool IsRunning(pid_t pid, uint64_t start_ticks);

// False when it still runs after `limit`.
bool WaitForEnd(pid_t pid, uint64_t start_ticks, base::Duration limit);

// "stopped (T)", "running (R)", "waiting (S)", ...
std::string StateText(char state);
std::string CommandLine(pid_t pid);  // blanks between words; the name where it cannot be read

struct ThreadWait {
  pid_t tid = 0;
  std::string where;  // the kernel function that it sleeps in; empty where that is not told
  char state = '?';
};
std::vector<ThreadWait> ReadThreads(pid_t pid, size_t count_max);

// A process that has something open, mapped, or as its folder, at or below a path.
struct PathUser {
  pid_t pid = 0;
  std::string name;
  std::string what;  // the path that it uses
};
// Looks for at most `limit`, one finding a process; the paths are text to the kernel, so nothing
// below them is touched.
std::vector<PathUser> FindUsers(const std::string& path, base::Duration limit);

}  // namespace stokefs::tools
