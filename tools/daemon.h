// The daemon: composes catalog, tiers, read path and the two mounts, and serves until ended.
#pragma once

#include <functional>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "tools/config.h"

namespace stokefs::tools {

struct DaemonInputs {
  MountConfig config;
  base::UniqueFd source;       // SOURCE, opened O_PATH | O_DIRECTORY before anything is mounted
  std::string dataset_folder;  // of this dataset in the first cache directory; locked by the caller
  std::string control_path;    // where the control mount goes; the folder is made and removed here
  std::string mount_id;
};

struct DaemonCallbacks {
  // Called once: ok when the mount answers, else why it does not.
  std::function<void(const base::Status&)> ready;
  // The mount is gone or going: a waiting mount of the same dataset need not give up.
  std::function<void()> ending;
  // Everything that matters is written. The process may have to end by _exit right after, because a
  // thread is stuck in the origin: give up locks and files here.
  std::function<void()> ended;
};

// Returns the exit status. Must be called before the process has a second thread. SIGTERM, SIGINT
// and an unmount end it.
int RunDaemon(DaemonInputs inputs, const DaemonCallbacks& callbacks);

}  // namespace stokefs::tools
