// Asks a mount's control files, in two seconds at most, and says what hangs when there is no
// answer.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "tools/mount_table.h"
#include "tools/registry.h"

namespace stokefs::tools {

// A dataset mount as far as it is known without asking it.
struct KnownMount {
  std::string mount_point;  // canonical
  MountEntry mount;
  std::optional<RegistryEntry> entry;  // none: not this user's, or made in another place
};

// Refused when there is no stokefs mount at `path`.
base::Result<KnownMount> FindMount(const std::string& path, base::Duration limit);

struct Answer {
  std::string bytes;
  // The control mount answered, the dataset mount did not: the step that hangs.
  std::optional<std::string> stuck_step;
};

// The whole of a control file ("stats"). Goes by the link MNT/.stokefs; when that hangs or is not
// there, by the registry. timed_out with the step that hangs as its message; not_connected when the
// daemon is gone.
base::Result<Answer> ReadControlFile(const KnownMount& known, const std::string& name,
                                     base::Duration limit);

}  // namespace stokefs::tools
