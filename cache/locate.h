// Where one sample's bytes are: in memory, in which chunk file, at the origin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/catalog.h"
#include "cache/memory_tier.h"
#include "cache/steered_disk.h"

namespace stokefs::cache {

struct LocatedBlock {
  uint32_t index = 0;
  uint64_t offset = 0;  // in the sample
  uint64_t size_bytes = 0;
  bool is_in_memory = false;
  std::optional<DiskTier::Place> on_disk;
};

struct LocatedSample {
  std::string path;  // below SOURCE
  SampleId id;
  uint64_t size_bytes = 0;
  std::optional<ChunkId> chunk;  // of the layout; none: it lies in extents of its own
  std::vector<LocatedBlock> blocks;
};

struct LocateOptions {
  uint64_t extent_bytes = 1u << 20;
  ChunkLayoutOptions layout;
};

// `disk` may be null. ENOENT, ENOTDIR for a path that is not there; EISDIR for a folder, EINVAL for
// what is no regular file either. Looks at the whole catalog for the chunk (0.3 s a million
// samples). Blocks nobody.
base::Result<LocatedSample> Locate(const std::string& path, const LocateOptions& options,
                                   const Catalog& catalog, MemoryTier& memory,
                                   const SteeredDisk* disk);

// The chunk of `id` among `catalog`'s samples, by the rule of chunk_layout.h.
ChunkId ChunkOf(SampleId id, const LocateOptions& options, const Catalog& catalog);

}  // namespace stokefs::cache
