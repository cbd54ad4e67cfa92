// The chunk files of a packed dataset, as they are read: heads and descriptors, each in a cache
// with a bound. Thread-safe; calls block for as long as the disk pleases.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/file.h"
#include "base/result.h"
#include "cache/chunk_format.h"
#include "cache/lru_map.h"
#include "cache/packed_index.h"

namespace stokefs::cache {

// Bytes read from `offset` into one piece of memory after the other, until all are full or the file
// ends. EINTR is retried; `pieces` is used up.
base::Result<size_t> ReadPiecesAt(int fd, std::span<iovec> pieces, uint64_t offset);

// The one entry, binary search; null: not there.
const ChunkEntry* FindEntry(const ChunkHead& head, SampleId sample, uint32_t extent);

class PackedChunks {
 public:
  struct Options {
    // A head takes 56 bytes a block: 64 MiB hold those of a million small files.
    size_t head_bytes_max = 64u << 20;
    size_t open_files_max = 512;
  };
  // `folder` is OUT's descriptor; it outlives this.
  PackedChunks(Options options, int folder)
      : folder_(folder), heads_(options.head_bytes_max), files_(options.open_files_max) {}

  // The head of the file, checked against its name. ENOENT: the file is gone; EBADMSG: damaged.
  base::Result<std::shared_ptr<const ChunkHead>> Head(const PackedIndex::ChunkFile& file);
  // Open to be read.
  base::Result<std::shared_ptr<const base::UniqueFd>> File(uint64_t checksum);
  // What is held of a file that turned out damaged: it may be replaced by a right one.
  void Forget(uint64_t checksum);

 private:
  base::Result<ChunkHead> ReadHead(const PackedIndex::ChunkFile& file);

  const int folder_;
  LruMap<uint64_t, const ChunkHead> heads_;
  LruMap<uint64_t, const base::UniqueFd> files_;
};

}  // namespace stokefs::cache
