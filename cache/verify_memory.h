// Compares the bytes of every block in memory with its digest.
#pragma once

#include <cstdint>
#include <functional>

#include "cache/memory_tier.h"

namespace stokefs::cache {

struct MemoryVerifyReport {
  uint64_t blocks = 0, bytes = 0;
  uint64_t damaged = 0;  // blocks, forgotten: they are fetched again when next asked for
};

// Blocks its thread, but nobody else: each block is looked at under a lease. `go_on` is asked now
// and then.
MemoryVerifyReport VerifyMemory(MemoryTier& memory,
                                const std::function<bool(const MemoryVerifyReport&)>& go_on);

}  // namespace stokefs::cache
