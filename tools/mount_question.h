// Asks a mount's control files, in two seconds at most, and says what hangs when there is no
// answer.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "tools/mount_table.h"
#include "tools/registry.h"
#include "tools/timed_child.h"

namespace stokefs::tools {

// A dataset mount as far as it is known without asking it.
struct KnownMount {
  std::string mount_point;  // canonical
  MountEntry mount;
  std::optional<RegistryEntry> entry;  // none: not this user's, or made in another place
};

// Refused when there is no stokefs mount at `path`.
base::Result<KnownMount> FindMount(const std::string& path, base::Duration limit);

struct ControlPlace {
  std::string path;
  // It is known although the dataset mount did not answer: the step that hangs.
  std::optional<std::string> stuck_step;
};

// Where the mount's control files are. Goes by the link MNT/.stokefs; when that has not answered
// after half of `limit` or is not there, by the registry. Errors as ReadControlFile.
base::Result<ControlPlace> FindControl(const KnownMount& known, base::Duration limit);

// The step at which a late child hangs in the control mount at `control`, with the count of
// requests that wait in the kernel, asked while its own is one of them.
std::string StuckStep(const TimedChild& child, const std::string& control);

struct Answer {
  std::string bytes;
  // The control mount answered, the dataset mount did not: the step that hangs.
  std::optional<std::string> stuck_step;
};

// The whole of a control file ("stats"). timed_out with the step that hangs as its message;
// not_connected when the daemon is gone.
base::Result<Answer> ReadControlFile(const KnownMount& known, const std::string& name,
                                     base::Duration limit);

}  // namespace stokefs::tools
