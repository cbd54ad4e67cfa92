// Digest, counts and chunks of all samples in a table.
#pragma once

#include <vector>

#include "cache/chunk_layout.h"
#include "cache/node_table.h"

namespace stokefs::cache {

// Every sample that can be reached from the root, in no order.
std::vector<LaidOutSample> CollectSamples(const NodeTable& table);

// Sorts `samples` and drops those above `extent_bytes`, which lie in extents of their own.
// The digest is the 128-bit XXH3 of, in this order, 8 bytes each, little-endian: chunk_bytes,
// chunk_samples, extent_bytes, then for each sample by id: high, low, size.
LayoutSummary SummarizeLayout(std::vector<LaidOutSample> samples, ChunkLayoutOptions options,
                              uint64_t extent_bytes);

}  // namespace stokefs::cache
