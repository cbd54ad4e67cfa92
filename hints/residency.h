// Which samples are in memory now, as the control file `residency` lists them: so that a sampler
// can prefer what costs nothing.
#pragma once

#include <cstdint>
#include <string>

#include "cache/catalog.h"
#include "cache/memory_tier.h"

namespace stokefs::hints {

// One line a sample whose bytes are all in memory, in the version that its path means now: the
// path below the mount as EscapePath writes it; sorted by bytes of the path. Empty files need no
// memory and are not listed. A moment's view, which may be old when it is read. About 1 µs a block
// that is in memory; never waits for the origin. `extent_bytes`: size of a large file's extents.
std::string ListResidency(const cache::Catalog& catalog, const cache::MemoryTier& memory,
                          uint64_t extent_bytes);

}  // namespace stokefs::hints
