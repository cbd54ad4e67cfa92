// Going to the background: the command returns when the mount answers or has failed, and says why.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"

namespace stokefs::tools {

// How the process that will serve tells the user what happens. Two kinds: to the waiting command
// through a pipe, and straight to standard error (-f).
class StartReport {
 public:
  virtual ~StartReport() = default;
  virtual void Note(const std::string& text) = 0;  // something the user should know
  virtual void Wait(const std::string& text, base::Duration more) = 0;  // answer comes later
  virtual void Ready() = 0;
  virtual void Fail(const base::Error& error) = 0;
};

class ForegroundReport final : public StartReport {
 public:
  void Note(const std::string& text) override;
  void Wait(const std::string& text, base::Duration more) override;
  void Ready() override {}
  void Fail(const base::Error& error) override;
};

using DaemonBody = std::function<int(StartReport&)>;

// Forks; the child, in a session of its own, at "/" and with no descriptors of ours, runs `body`
// and its status is returned there. The parent waits at most `limit` (and what Wait adds) and
// returns the exit status; when the mount did not come it ends the child and calls `clean_up` with
// its pid. Call before any thread is made.
int RunInBackground(const DaemonBody& body, base::Duration limit,
                    const std::function<void(pid_t)>& clean_up);

}  // namespace stokefs::tools
