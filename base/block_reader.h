// Reads of one device's files, many at a time, through buffers whose memory is bounded.
//
// Two ways, chosen at run time: io_uring (one ring, one thread, buffers registered with the ring)
// and threads that call pread. Both take reads in the order demand, background; background reads
// hold a quarter of the buffers at most, so that a demand read finds one free. Ranges of one file
// that were submitted together and lie within 64 KiB of each other become one read of the device,
// and what is larger than a buffer becomes several. Files opened with O_DIRECT are read on the 4
// KiB grid and copied out. Thread-safe; Submit never waits for a disk.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace stokefs::base {

enum class ReadPriority : uint8_t { kDemand, kBackground };

struct ReadableFile {
  UniqueFd fd;
  bool is_direct = false;  // opened with O_DIRECT
};

// `done` is called once, on a thread of the reader; or inside Submit with EAGAIN (the queue is
// full) or ECANCELED (stopped); or inside Stop with ECANCELED. It must not block: others wait
// behind it. `into` belongs to the reader until then, and the file is kept open.
struct BlockRead {
  std::shared_ptr<const ReadableFile> file;
  uint64_t offset = 0;
  std::span<std::byte> into;  // not empty
  ReadPriority priority = ReadPriority::kDemand;
  std::function<void(Status)> done;  // EBADMSG: the file ends before; else what the disk said
};

struct ReaderLoad {
  uint64_t reads = 0;        // not answered yet
  uint64_t bytes = 0;        // of those
  uint64_t bytes_per_s = 0;  // while there was something to read, of late; 0: not measured yet
};

class BlockReader {
 public:
  struct Options {
    std::string name = "disk";       // of its threads: "<name>-ring", "<name>-read"
    size_t reads_max = 4096;         // not answered yet
    size_t buffer_bytes = 8u << 20;  // of all buffers together
    size_t threads = 16;             // of the way by threads
    // What the threads call, as pread(2) is called; tests stand in between.
    std::function<ssize_t(int fd, void* into, size_t bytes, off_t offset)> read = pread;
  };

  virtual ~BlockReader() = default;  // Stop() without a limit

  virtual void Submit(std::vector<BlockRead> reads) = 0;
  virtual ReaderLoad Load() const = 0;
  // For people: "io_uring" or "threads", and what is not as it could be.
  virtual const std::string& Name() const = 0;

  // Answers reads that wait and waits up to `limit` for those under way. False when the disk hangs:
  // then the process must end by _exit, and the reader must not be destroyed before.
  virtual bool Stop(std::chrono::milliseconds limit) = 0;
};

// The errno of io_uring_setup(2) when the kernel refuses. Buffers that may not be locked in memory
// (RLIMIT_MEMLOCK) are used unregistered, and Name() says so.
Result<std::unique_ptr<BlockReader>> MakeUringReader(BlockReader::Options options);

// `reason`, if there is one, goes into Name().
std::unique_ptr<BlockReader> MakeThreadReader(BlockReader::Options options,
                                              const std::string& reason = "");

}  // namespace stokefs::base
