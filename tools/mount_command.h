// `stokefs mount`: checks, lock, registry entry, control folder, daemon; and all of it put away.
#pragma once

#include "tools/config.h"

namespace stokefs::tools {

// Returns the exit status, in the waiting command and, when all has ended, in the daemon.
int Mount(const MountConfig& config);

}  // namespace stokefs::tools
