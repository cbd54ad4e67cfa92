// The disk tier: what was read once from the origin, packed into chunk files on local disks.
//
// A ChunkSource in front of the origin, and the sink of what the origin brought. docs/DISK.md tells
// the life of a block here. Budgets, placement, eviction and integrity are decided here; files and
// their devices are the directories'. Thread-safe; nothing blocks but Stop and what says so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/journal.h"
#include "base/metrics.h"
#include "base/result.h"
#include "cache/chunk_directory.h"
#include "cache/chunk_source.h"
#include "cache/fetch_sink.h"
#include "cache/memory_tier.h"
#include "cache/origin_locator.h"
#include "cache/wanted_blocks.h"

namespace stokefs::cache {

struct DiskStatistics {
  base::Counter reads;  // blocks read
  base::Counter bytes;
  base::Counter errors;   // reads that failed
  base::Counter damaged;  // blocks whose bytes or file were not what was written
  base::Counter written;  // blocks
  base::Counter written_bytes;
  base::Counter skipped;  // blocks not kept: no room, or the writer was too slow
  base::Counter evicted;  // blocks
  base::LatencyHistogram latency;
};

// kStalled: its reads are not answered; seen in DirectoryUsage only, beside the other states.
enum class DirectoryState : uint8_t { kHealthy, kFull, kRetired, kStalled };

struct DirectoryUsage {
  std::string path;
  DirectoryState state = DirectoryState::kHealthy;
  std::string reason;  // of a state that is not healthy
  std::string reader;  // "io_uring" or "threads"
  uint64_t used_bytes = 0;
  uint64_t files = 0;
  uint64_t blocks = 0;
};

struct DiskUsage {
  uint64_t budget_bytes = 0;
  uint64_t used_bytes = 0;  // allocated, of all files, those being written included
  uint64_t blocks = 0;      // that can be read
  uint64_t block_bytes = 0;
  uint64_t pinned_blocks = 0;
  uint64_t pending_bytes = 0;  // fetched, not yet on disk
  bool loading = false;        // the files' heads are still being read
  std::vector<DirectoryUsage> directories;
};

class DiskTier final : public ChunkSource, public FetchSink {
 public:
  struct Options {
    std::vector<std::string> folders;  // one a device; at least one
    uint64_t budget_bytes = 0;
    uint64_t dataset = 0;  // whose samples: files of another are not read, but removed
    ChunkLayoutOptions layout;
    uint64_t extent_bytes = 1u << 20;
    bool direct = true;                             // this and the next: ChunkDirectory's
    size_t open_files_max = 256;                    // of each folder
    uint64_t free_floor_bytes = uint64_t{1} << 30;  // at most; never above 5% of a file system
    base::Duration flush_after = std::chrono::seconds(1);
    const WantedBlocks* wanted = nullptr;  // null: what is gone from the dataset is not reclaimed
  };
  // Touches no disk: each folder is opened by its own thread, because a disk may hang. `locator`,
  // `memory`, `storage`, `journal` and `clock` outlive the tier.
  static std::unique_ptr<DiskTier> Create(Options options, OriginLocator& locator,
                                          MemoryTier& memory, base::Storage& storage,
                                          base::Journal& journal, const base::Clock& clock);
  ~DiskTier() override;

  // Reads what is there and starts the threads.
  void Start();
  // Writes what is pending if the disk lets it, ends the threads. False when one is stuck.
  bool Stop(std::chrono::milliseconds limit);

  // ChunkSource. Items that are not here are answered ENOENT, also inside Fetch.
  Tier tier() const override { return Tier::kDisk; }
  bool Holds(BlockKey key) const override;
  void Fetch(std::vector<FetchItem> items) override;

  // FetchSink.
  void OnFetched(const FetchedBlock& block) override;
  bool WantsPause() const override;

  struct Place {
    std::string file;
    ChunkId chunk;
    uint64_t offset = 0;
    uint32_t size_bytes = 0;
    bool pinned = false;
  };
  std::optional<Place> Locate(BlockKey key) const;

  // Blocks in the order of this number lie one behind the other on the disks; none: not here.
  std::optional<uint64_t> OrderOnDisk(BlockKey key) const;

  // Blocks until all that was fetched before is on disk or was given up, at most for `limit`.
  void Flush(base::Duration limit = std::chrono::seconds(30));

  // Forgets blocks; a file goes when none is left in it. Returns how many were here.
  uint64_t Evict(std::span<const BlockKey> keys);
  // All that is not pinned, and the files put aside.
  uint64_t EvictAll();

  // Pinned blocks are never evicted for room, and make room for themselves. A pin holds for blocks
  // that come later too; it is not kept over a restart (the caller pins again). Returns how many of
  // them are here.
  uint64_t Pin(std::span<const BlockKey> keys);
  uint64_t Unpin(std::span<const BlockKey> keys);

  struct VerifyReport {
    uint64_t files = 0, files_total = 0;
    uint64_t blocks = 0, bytes = 0;
    uint64_t damaged_blocks = 0, damaged_files = 0;
  };
  // Reads every file and compares heads and digests; what is damaged is put aside and fetched again
  // when next asked for. Blocks; `go_on` is asked after each file.
  VerifyReport Verify(const std::function<bool(const VerifyReport&)>& go_on);

  DiskUsage Usage() const;
  const DiskStatistics& Statistics() const;

 private:
  class Impl;
  explicit DiskTier(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;  // shared with threads that a disk may hold for ever
};

}  // namespace stokefs::cache
