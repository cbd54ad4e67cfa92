// What is in a cache directory: every chunk file's head, read by several threads.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/storage.h"
#include "cache/chunk_directory.h"

namespace stokefs::cache {

struct ChunkScanOptions {
  std::string path;
  bool direct = false;                     // heads past the page cache
  std::function<bool(uint64_t id)> skips;  // files that are not to be visited, nor removed
  std::function<void()> free_descriptors;  // called when there are none left
  std::function<bool()> gives_up;          // asked before each file; then the result is ECANCELED
  size_t threads = 8;
};

// ChunkDirectory::Scan. The options' functions are called on any thread.
base::Status ScanChunks(const ChunkScanOptions& options, base::Storage& storage,
                        const std::function<void(FoundChunk)>& visit);

// The head of an open file of `size_bytes`, and whether the file is as long as it says. EBADMSG.
base::Result<ChunkHead> ReadChunkHead(int fd, uint64_t size_bytes);

}  // namespace stokefs::cache
