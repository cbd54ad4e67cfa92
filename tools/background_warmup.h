// The one warm-up that runs in the background of a mount: begun on request, it outlives whoever
// asked, and one that was cut off by the daemon's end goes on at the next mount.
//
// What it is to fetch is kept in a file (cache/path_list.h) from its begin to its end; it is
// removed when the warm-up is done, has failed or was stopped, and stays when the daemon ends.
// Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/journal.h"
#include "base/sync.h"
#include "tools/command_runner.h"

namespace stokefs::tools {

class BackgroundWarmup {
 public:
  // `file` empty: not kept.
  BackgroundWarmup(std::string file, base::Journal& journal)
      : file_(std::move(file)), journal_(journal) {}

  static tl::unexpected<base::Error> Busy();

  // To be called around the work, by the command that does it. Begin is EBUSY while another runs.
  base::Status Begin(RunningCommand& command, const std::vector<std::string>& paths) EXCLUDES(mu_);
  void End(const base::Result<Json>& result) EXCLUDES(mu_);

  // The paths of one that was cut off.
  std::optional<std::vector<std::string>> CutOff();

  // {"state": "none" | as a command's, "paths", "progress", "result", "error"}: the one that runs
  // or ran last.
  Json Show() const EXCLUDES(mu_);
  bool IsRunning() const EXCLUDES(mu_);
  // Cancels it for good; false when none runs.
  bool StopIt() EXCLUDES(mu_);
  // The daemon ends: what runs is cut off, and its file stays.
  void CutOffAtEnd() EXCLUDES(mu_);

 private:
  const std::string file_;
  base::Journal& journal_;
  mutable base::Mutex mu_;
  RunningCommand* running_ GUARDED_BY(mu_) = nullptr;
  bool is_ending_ GUARDED_BY(mu_) = false;
  Json last_ GUARDED_BY(mu_) = {{"state", "none"}};
};

}  // namespace stokefs::tools
