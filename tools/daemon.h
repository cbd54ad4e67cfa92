// The daemon: composes catalog, tiers, read path and the two mounts, and serves until ended.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "tools/config.h"
#include "tools/dataset_lock.h"

namespace stokefs::tools {

struct DaemonInputs {
  MountConfig config;
  base::UniqueFd source;       // SOURCE, opened O_PATH | O_DIRECTORY before anything is mounted
  // This dataset's folder in each cache directory, locked; the first holds catalog and log.
  std::vector<std::string> dataset_folders;
  std::string control_path;    // an existing empty folder for the control mount
  std::string mount_id;
  DatasetLock* lock = nullptr;  // not owned; MarkEnding() when the end begins
};

struct DaemonEnd {
  int exit_status = 0;
  // A thread is stuck in a hung origin: the process has to end by _exit, because destructors of
  // what lives as long as the process would run beside it.
  bool thread_left = false;
};

// Mounts and serves until SIGTERM, SIGINT or an unmount ends it. Calls `ready` once: with ok when
// the mount answers, or the reason why it does not. Must be called before the process has a second
// thread.
DaemonEnd RunDaemon(DaemonInputs inputs, const std::function<void(const base::Status&)>& ready);

}  // namespace stokefs::tools
