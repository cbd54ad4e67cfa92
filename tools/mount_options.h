// The words of `-o`, as mount(8) and fstab(5) write them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stokefs::tools {

// Splits at ',' and judges each: those that the kernel or libfuse take are handed back in order,
// those that only mount(8) reads (noauto, _netdev, x-..., defaults) are left out, all others are
// refused by name. A mount is always read-only, so `rw` is refused with that reason.
base::Result<std::vector<std::string>> ParseMountOptions(std::string_view text);

// /etc/fuse.conf has user_allow_other: users other than root may give allow_other.
bool UsersMayAllowOthers();

}  // namespace stokefs::tools
