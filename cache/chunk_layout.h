// Which samples form a chunk: a pure function of their ids and sizes.
//
// Samples sorted by SampleId are a binary trie of hash prefixes; a chunk is the largest bucket that
// holds at most `chunk_bytes` and `chunk_samples` (a single sample always fits). So a chunk is a
// random draw of the dataset, and one added file dirties one chunk. Source: extendible hashing
// (Fagin et al., 1979), with the trie in place of a directory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cache/ids.h"

namespace stokefs::cache {

struct ChunkLayoutOptions {
  uint64_t chunk_bytes = 4u << 20;
  uint32_t chunk_samples = 1024;
};

struct LaidOutSample {
  SampleId id;
  uint64_t size_bytes = 0;
};

// Samples [first, first + count) of the order sorted by SampleId.
struct Chunk {
  ChunkId id;
  uint32_t first = 0;
  uint32_t count = 0;
  uint64_t size_bytes = 0;
};

// `sorted` by id, without duplicates. The chunks cover it, in order, without gaps.
std::vector<Chunk> LayOutChunks(std::span<const LaidOutSample> sorted, ChunkLayoutOptions options);

struct LayoutSummary {
  std::string digest;  // 32 hex digits: paths (as SampleIds), sizes and layout options
  uint64_t samples = 0;
  uint64_t bytes = 0;
  uint64_t chunks = 0;  // of small files, plus one for each extent of large files
};

}  // namespace stokefs::cache
