// Opening files of the origin: never through a link, never outside SOURCE, paths of any length.
#pragma once

#include <string_view>

#include "base/file.h"
#include "base/result.h"

namespace stokefs::cache {

// Opens `path` (any length, no leading '/'; empty: `folder` itself) below `folder` without
// following any link and without leaving it. `flags` as open(2)'s; O_CLOEXEC and O_NOFOLLOW are
// added. A component that is, or turned into, a link gives ELOOP (the last one with O_DIRECTORY:
// ENOTDIR); one that leads out gives EXDEV.
// Thread-safe. Source: openat2(2), RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS.
base::Result<base::UniqueFd> OpenBeneath(int folder, std::string_view path, int flags);

}  // namespace stokefs::cache
