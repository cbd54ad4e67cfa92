// What is looked at before a mount is made: does the source answer, is the mount point free, do the
// paths lie apart. Whatever may hang is asked with a limit.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "tools/config.h"
#include "tools/registry.h"
#include "tools/timed_child.h"

namespace stokefs::tools {

// The canonical path of a mount point, also of one whose daemon is dead or hangs. Refused when it
// is not there, timed_out when a folder above it does not answer.
base::Result<std::string> CanonicalMountPoint(const std::string& path);

enum class MountHealth : uint8_t {
  kServing,
  kDead,    // its daemon is gone: ENOTCONN
  kSilent,  // no answer in the time given
};
MountHealth AskMount(const std::string& mount_point, base::Duration limit);
// The same in two steps, so that many mounts are asked at once.
base::Result<std::unique_ptr<TimedChild>> StartAsking(const std::string& mount_point);
MountHealth AwaitHealth(TimedChild& asked, base::Duration limit);

// Told to the user, when something was done or is waited for.
using Notice = std::function<void(const std::string&)>;

// Takes over what a killed daemon left at MNT (and its control mount, folder and entry), waits up
// to `wait` for one that is just ending, refuses MNT while a running one has it. Mounts of others
// are left for CheckPaths to judge.
base::Status ClearMountPoint(const std::string& mount_point, const Registry& registry,
                             base::Duration wait, const Notice& notice);

struct CheckedPaths {
  std::string source;        // its path canonical
  std::string control_path;  // canonical as far as it exists
};
// The source is there and a readable folder, MNT is free, and no path lies where it must not:
// nothing at or below MNT or the control mount, no cache, log or control mount in the source, MNT
// not in the source. Mounting over the source itself is fine. `control_path`: where the control
// mount will be.
base::Result<CheckedPaths> CheckPaths(const MountConfig& config, const std::string& control_path);

}  // namespace stokefs::tools
