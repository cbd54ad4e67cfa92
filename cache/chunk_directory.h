// The chunk files of one cache directory: written whole, found again, read, removed.
//
// Owns the files below `path`: `<2 hex>/<16 hex>.chunk`, `.chunk.new` while it is written,
// `.chunk.bad` when it was put aside. Knows nothing of samples' meaning, budgets or other
// directories. Thread-safe. Write blocks; Read does not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/storage.h"
#include "cache/chunk_format.h"

namespace stokefs::cache {

// Names a file of one directory for its life; never used again.
struct ChunkFileId {
  uint64_t value = 0;

  auto operator<=>(const ChunkFileId&) const = default;
};

struct FoundChunk {
  ChunkFileId file;
  uint64_t allocated_bytes = 0;  // what it takes of the disk
  base::Result<ChunkHead> head;  // EBADMSG: damaged
  bool is_bad = false;           // put aside earlier
};

// One read. `done` is called once, on a thread of the directory, or inside Read only with EAGAIN.
struct ChunkRead {
  ChunkFileId file;
  uint64_t offset = 0;
  std::span<std::byte> into;
  std::function<void(base::Status)> done;  // ENOENT, EIO; EBADMSG: the file is shorter
};

class ChunkDirectory {
 public:
  struct Options {
    std::string path;    // made when missing
    bool direct = true;  // O_DIRECT and io_uring where they work
    size_t open_files_max = 256;
    size_t reads_queued_max = 4096;
  };
  // Removes what was not finished. `storage` outlives the directory.
  static base::Result<std::unique_ptr<ChunkDirectory>> Open(Options options,
                                                            base::Storage& storage);
  ~ChunkDirectory();

  const std::string& path() const;
  std::string PathOf(ChunkFileId file) const;
  const char* ReaderName() const;  // "io_uring" or "threads", and why, for people

  // Reads the heads of all files, several at a time; `visit` is called on this thread, in no order.
  base::Status Scan(const std::function<void(FoundChunk)>& visit);

  struct Written {
    ChunkFileId file;
    uint64_t allocated_bytes = 0;
  };
  // Writes `image`, a whole file (head, padding, payload), syncs it and renames it. After an error
  // nothing is left of it. ENOSPC, EIO, EROFS, ...
  base::Result<Written> Write(std::span<const std::byte> image);
  // What a file of `image_bytes` will take of the disk, at most.
  static uint64_t AllocatedBytes(uint64_t image_bytes);

  void Read(std::vector<ChunkRead> reads);

  void Remove(ChunkFileId file);    // reads of it under way go on
  void PutAside(ChunkFileId file);  // renames it to .bad

  base::Result<base::StorageSpace> Space() const;

  // Answers reads that wait ECANCELED and waits up to `limit` for those under way. False when the
  // disk hangs: then the process must end by _exit, and this object must not be destroyed before.
  bool Stop(std::chrono::milliseconds limit);

 private:
  class Impl;
  explicit ChunkDirectory(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace stokefs::cache
