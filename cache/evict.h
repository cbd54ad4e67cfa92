// Forgets cached samples: on disk, in memory, in the kernel's page cache.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/job_signal.h"
#include "base/result.h"
#include "cache/catalog.h"
#include "cache/kernel_cache.h"
#include "cache/memory_tier.h"
#include "cache/steered_disk.h"

namespace stokefs::cache {

struct EvictReport {
  uint64_t samples = 0;  // looked at
  uint64_t disk_blocks = 0, disk_bytes = 0;
  uint64_t memory_blocks = 0, memory_bytes = 0;
  uint64_t pinned_samples = 0;  // left out
};

struct EvictParts {
  uint64_t extent_bytes = 1u << 20;
  const Catalog& catalog;
  MemoryTier& memory;
  SteeredDisk* disk = nullptr;  // null: there is none
  KernelCache& kernel;
};

using PathFilter = std::function<bool(std::string_view path)>;

// Samples at or below `paths`, but those for which `is_kept` (pinned ones). Blocks its thread, also
// for as long as READs of a sample that is to be dropped are in flight. ENOENT, ENOTDIR; ECANCELED,
// with what went before gone.
base::Result<EvictReport> Evict(const EvictParts& parts, const std::vector<std::string>& paths,
                                const PathFilter& is_kept, base::JobSignal& signal,
                                const std::function<void(const EvictReport&)>& watch);

// Everything, former versions of files and files put aside as well.
base::Result<EvictReport> EvictEverything(const EvictParts& parts, const PathFilter& is_kept,
                                          base::JobSignal& signal,
                                          const std::function<void(const EvictReport&)>& watch);

}  // namespace stokefs::cache
