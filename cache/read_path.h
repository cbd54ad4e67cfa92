// The read path: joins the tiers. READ(node, range) → leases on the bytes, or an errno, in time.
//
// A read that memory can answer is answered inside Read. Any other joins the one fetch in flight of
// each block it needs, or starts it, and is answered later, on another thread: by bytes, by an
// error, or by ETIMEDOUT when `read_deadline` has passed. A fetch asks the sources in order, from
// the first that holds the block; one that fails or is late (its `deadline`) is given up for the
// next. A late answer still fills memory. What the last source brought is shown to the sink, which
// may also ask for a pause of its fetches. Thread-safe. No lock is held while a `done`, a source or
// the sink runs (but for the sink's WantsPause).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "cache/block_layout.h"
#include "cache/chunk_source.h"
#include "cache/fetch_sink.h"
#include "cache/ids.h"
#include "cache/memory_tier.h"
#include "cache/read_event.h"

namespace stokefs::cache {

struct ReadRequest {
  NodeId node;
  uint64_t offset = 0;
  uint32_t size_bytes = 0;
  ReaderId reader;
};

// The bytes of a read: the spans in order are the file's bytes from the asked offset to the end of
// the range or of the file. They live as long as the reply.
struct ReadReply {
  std::vector<std::span<const std::byte>> spans;
  std::vector<Lease> leases;
  // What spans point to where no lease could be kept: see parked_reads.h. Nearly always empty.
  std::vector<std::unique_ptr<std::byte[]>> copies;
  Tier tier = Tier::kMemory;

  uint64_t SizeBytes() const;
};

using ReadDone = std::function<void(base::Result<ReadReply>)>;
using PrefetchDone = std::function<void(BlockKey, base::Status)>;

// Names one parked read, to give it up.
struct ReadTicket {
  uint64_t value = 0;  // 0: answered already
};

struct ReadStatistics {
  base::Counter samples;  // first reads: READs of a file's first byte that were answered
  base::Counter bytes;    // bytes answered, all READs
  base::Counter memory, disk, peer, origin;  // first reads by the tier that served them
  base::Counter errors;                      // READs answered with an errno
  base::Counter timeouts;                    // of those, ETIMEDOUT
  base::Counter refused;                     // of those, refused because too many were parked
  base::Counter joined;                      // waits that joined a fetch already in flight
  base::Counter prefetched;                  // blocks that background fetches brought in time
  base::Counter prefetch_errors;             // background fetches that brought none
  base::LatencyHistogram latency;            // all READs answered with bytes
};

// A parked read, for whoever asks what is stuck.
struct ParkedRead {
  NodeId node;
  ReaderId reader;
  uint64_t offset = 0;
  base::Duration waited{};
};

class ReadPath {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;  // files above this are read in extents of it
    base::Duration read_deadline = std::chrono::seconds(30);
    size_t parked_count_max = 768;     // leaves room below the kernel's max_background, 1,024
    uint64_t fetch_bytes_max = 0;      // in flight at all sources for readers; 0: half of the arena
    uint64_t prefetch_bytes_max = 0;   // in flight in the background; 0: an eighth of the arena
    size_t prefetch_count_max = 1024;  // background fetches that have not ended
    FetchSink* sink = nullptr;         // is told what the last source brought; may be null
  };
  struct Source {
    ChunkSource* source = nullptr;
    base::Duration deadline{};     // of one try
    uint64_t fetch_bytes_max = 0;  // in flight there for readers; 0: a quarter of the arena
    // Background fetches asked of it at a time. About as many as it serves at once: a reader who
    // comes for one that waits in here is served at once, but not if it waits inside the source.
    size_t background_count_max = 32;
  };

  // All referenced objects outlive the read path. `observers` may be empty. `sources` in order.
  ReadPath(Options options, const BlockLayout& layout, MemoryTier& memory,
           const std::vector<Source>& sources, std::vector<ReadEventQueue*> observers,
           const base::Clock& clock);
  ~ReadPath();

  // Calls `done` once: before returning (ticket 0), or later, on another thread (maybe before this
  // has returned as well). Errors: ENOENT, EISDIR, ETIMEDOUT, ENOMEM for a block above the memory
  // budget, or what the last source said; past the last source's EAGAIN, ETIMEDOUT.
  ReadTicket Read(const ReadRequest& request, ReadDone done);

  // Fetches blocks ahead of need: after all that readers wait for, within budgets of its own. Takes
  // keys from the front until its queue is full, and returns how many it took. `done` is called
  // once for each of those: before this returns for what is in memory, or cannot be fetched; else
  // later, on another thread. It must not block. A reader who comes for such a block waits as if
  // the fetch were his own, whatever became of it. Errors: as of Read; EINVAL past the end of a
  // file; ENOMEM when the rule is not kMayEvict and there is no such room, or for a block above the
  // budget; ETIMEDOUT.
  size_t Prefetch(std::span<const BlockKey> keys, RoomRule rule, PrefetchDone done);

  // Gives up a parked read: its `done` is called with EINTR, unless it was answered already. The
  // fetch goes on for others and for memory.
  void Cancel(ReadTicket ticket);

  bool IsParked(ReadTicket ticket) const;

  // Answers what is overdue, moves late fetches to their next source, starts what waited for
  // memory. To be called every few milliseconds.
  void Tick();

  // Ends: every parked read is answered `error`, new ones too, and every prefetch. When it returns,
  // each `done` of a parked read has returned and no source is asked any more; so never call it
  // from a `done`. Late answers of sources stay safe, also after the destructor (which calls this),
  // while the memory tier lives.
  void Shutdown(std::errc error);

  const ReadStatistics& Statistics() const;
  std::vector<ParkedRead> Parked(size_t count_max) const;  // oldest first
  size_t ParkedCount() const;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;  // shared with the sources' callbacks
};

}  // namespace stokefs::cache
