// The chunk files of one cache directory: written whole, found again, read, removed.
//
// Owns the files below `path`: `<2 hex>/<16 hex>.chunk`, `.chunk.new` while it is written,
// `.chunk.bad` when it was put aside; other names are left alone. Knows nothing of samples'
// meaning, budgets or other directories. Thread-safe. Read does not block; all that changes files
// does.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/block_reader.h"
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
  base::Result<ChunkHead> head;  // EBADMSG: damaged or cut short; else why it cannot be read
  bool is_bad = false;           // put aside earlier; its head is not read and has no entries
};

// One read. `done` is called once, on a thread of the directory, which it must not block; or inside
// Read with EAGAIN (the queue is full) or ECANCELED; or inside Stop with ECANCELED.
struct ChunkRead {
  ChunkFileId file;
  uint64_t offset = 0;
  std::span<std::byte> into;               // not empty
  std::function<void(base::Status)> done;  // ENOENT, EIO; EBADMSG: the file is shorter;
                                           // EAGAIN: also no descriptor to be had
  base::ReadPriority priority = base::ReadPriority::kDemand;
};

// How busy the device is, for whoever places files. Speeds are those of late, while there was
// something to do; 0: not measured yet.
struct DirectoryLoad {
  uint64_t reads = 0;  // not answered yet
  uint64_t read_bytes = 0;
  uint64_t read_bytes_per_s = 0;
  uint64_t write_bytes = 0;  // of writes under way
  uint64_t write_bytes_per_s = 0;
};

class ChunkDirectory {
 public:
  struct Options {
    std::string path;                // made when missing
    bool direct = true;              // O_DIRECT and io_uring where they work
    size_t open_files_max = 256;     // kept open for the next read
    size_t reads_queued_max = 4096;  // not answered yet
    size_t buffer_bytes = 8u << 20;  // for reads under way
  };
  // Touches no file, so it takes as long for many as for none. `storage` outlives the directory.
  static base::Result<std::unique_ptr<ChunkDirectory>> Open(Options options,
                                                            base::Storage& storage);
  ~ChunkDirectory();

  const std::string& path() const;
  std::string PathOf(ChunkFileId file) const;
  const char* ReaderName() const;  // "io_uring" or "threads", and why, for people

  // Removes what was not finished and reads the heads of all files, several at a time; `visit` is
  // called on this thread, in no order. What this object wrote itself is not visited. An error:
  // some folders could not be listed; all else was visited.
  base::Status Scan(const std::function<void(FoundChunk)>& visit);

  struct Written {
    ChunkFileId file;
    uint64_t allocated_bytes = 0;
  };
  // Writes `image`, a whole file (head, padding, payload), syncs it and renames it; fastest when it
  // begins at a multiple of 4 KiB in memory (base/aligned_buffer.h). After an error nothing is left
  // of it, or a `.new` that the disk would not remove. ENOSPC, EIO, EROFS, ...
  base::Result<Written> Write(std::span<const std::byte> image);
  // What a file of `image_bytes` will take of the disk, at most, with blocks of 4 KiB.
  static uint64_t AllocatedBytes(uint64_t image_bytes);

  void Read(std::vector<ChunkRead> reads);

  // Reads of it under way go on, later ones are ENOENT. A file that is gone already is no error.
  base::Status Remove(ChunkFileId file);    // also of one that was put aside
  base::Status PutAside(ChunkFileId file);  // renames it to .bad

  base::Result<base::StorageSpace> Space() const;
  DirectoryLoad Load() const;

  // Answers reads that wait ECANCELED and waits up to `limit` for those under way. False when the
  // disk hangs: then the process must end by _exit, and this object must not be destroyed before.
  bool Stop(std::chrono::milliseconds limit);

 private:
  class Impl;
  explicit ChunkDirectory(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace stokefs::cache
