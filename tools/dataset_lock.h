// One daemon at a time for a dataset in a cache directory.
//
// The dataset's folder is `<cache>/<16 hex of the XXH3-64 of the canonical source path>/`; in it
// the file `lock` is held by flock(2) while a daemon lives, and says who that is, as JSON:
// {"pid": 1, "start_ticks": 1, "mount_point": "/mnt", "state": "running" | "ending"}.
// The lock is taken in every cache directory, so that two mounts never share one by half.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"

namespace stokefs::tools {

class DatasetLock {
 public:
  struct Options {
    std::string source;                   // canonical
    std::string mount_point;              // canonical
    std::vector<std::string> cache_dirs;  // at least one; made when missing, the folders 0700
    base::Duration wait = std::chrono::seconds(10);  // for a holder that is just ending
    std::function<void(const std::string&)> notice = [](const std::string&) {};  // "waits for ..."
  };
  // Refused (invalid_argument) at once while a running daemon holds it; timed_out when one that is
  // ending does not end in time. Call after the last fork: a child would hold the lock as well.
  static base::Result<std::unique_ptr<DatasetLock>> Acquire(const Options& options);
  ~DatasetLock() { Unlock(); }

  // From now on others wait for us instead of being refused. This and Unlock take 300 ms at most,
  // also where a cache directory hangs: its lock then goes with the process. Thread-safe, as Unlock
  // is not.
  void MarkEnding();
  // Lets the next daemon in although threads that a dead source holds may keep this process.
  void Unlock();

  // The dataset's folder in each cache directory, in their order.
  const std::vector<std::string>& folders() const { return folders_; }
  std::string lock_path() const { return folders_[0] + "/lock"; }

 private:
  // Shared with a thread that a hung cache directory may hold.
  struct Held {
    std::string mount_point;
    std::vector<base::UniqueFd> locks;
  };
  DatasetLock() = default;
  static void WriteState(const Held& held, const char* state);

  std::vector<std::string> folders_;
  std::shared_ptr<Held> held_ = std::make_shared<Held>();
};

// The dataset's folder below a cache directory, for a canonical source.
std::string DatasetFolder(const std::string& cache_dir, const std::string& source);

// What a lock file says of its holder: true when that daemon is ending, or dead, or about to be
// (a fatal signal is on its way).
bool IsHolderEnding(const std::string& lock_path);

}  // namespace stokefs::tools
