// The disk tier's inside: an index, a collector, and one thread a directory that writes, looks
// after room, and opens the directory in the first place.
//
// Locks: mu_, then the collector's (a leaf). No disk is touched under either. Threads: "disk-N",
// one a directory, and "disk-compact". Reads are answered on the directories' own threads.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/sync.h"
#include "cache/disk_collector.h"
#include "cache/disk_index.h"
#include "cache/disk_tier.h"

namespace stokefs::cache {

class DiskTier::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Options options, OriginLocator& locator, MemoryTier& memory, base::Storage& storage,
       base::Journal& journal, const base::Clock& clock);

  void Start();
  bool Stop(std::chrono::milliseconds limit);

  bool Holds(BlockKey key) const;
  void Fetch(std::vector<FetchItem> items);
  void OnFetched(const FetchedBlock& block);
  bool WantsPause() const;

  std::optional<Place> Locate(BlockKey key) const;
  std::optional<uint64_t> OrderOnDisk(BlockKey key) const;
  void Flush(base::Duration limit);
  uint64_t Evict(std::span<const BlockKey> keys);
  uint64_t EvictAll();
  uint64_t Pin(std::span<const BlockKey> keys);
  uint64_t Unpin(std::span<const BlockKey> keys);
  VerifyReport Verify(const std::function<bool(const VerifyReport&)>& go_on);
  DiskUsage Usage() const;
  const DiskStatistics& Statistics() const { return statistics_; }

 private:
  struct Directory {
    std::string folder;
    std::shared_ptr<ChunkDirectory> files;  // null until opened
    DirectoryState state = DirectoryState::kHealthy;
    std::string reason;
    base::TimePoint retry_at{};
    bool loaded = false;
    bool writing = false;
    uint64_t used_bytes = 0;       // allocated, those being written included
    double bytes_per_second = 0;   // of writes, a moving average; 0: none yet
    std::vector<ChunkFileId> bad;  // files put aside, the oldest first
    std::vector<uint64_t> bad_bytes;
    size_t reads_under_way = 0;
    base::TimePoint last_read_event{};  // begun while idle, or ended
  };
  // A file that left the index and is to be removed from its directory.
  struct Doomed {
    uint32_t directory;
    ChunkFileId id;
    uint64_t allocated_bytes;
  };
  struct Located {
    SampleId sample;
    FileVersion version;
    BlockName name;
  };

  // Common (disk_tier.cc).
  std::optional<Located> LocateBlock(BlockKey key) const;
  std::vector<BlockName> NamesOf(std::span<const BlockKey> keys) const;
  bool IsStalled(const Directory& directory, base::TimePoint now) const REQUIRES(mu_);
  void Remove(const std::vector<Doomed>& files) EXCLUDES(mu_);
  void Doom(DiskFileNumber number, std::vector<Doomed>& doomed) REQUIRES(mu_);
  void DoomEmpty(std::vector<Doomed>& doomed) REQUIRES(mu_);
  void SetState(uint32_t directory, DirectoryState state, const std::string& reason) EXCLUDES(mu_);
  void PutAside(uint32_t directory, ChunkFileId id, const base::Error& why) EXCLUDES(mu_);

  // Reading (disk_tier_read.cc).
  struct ReadOfBlock;
  void FetchNow(std::vector<FetchItem> items) EXCLUDES(mu_);
  void OnRead(const ReadOfBlock& read, base::Status status) EXCLUDES(mu_);
  base::Status ReadWaiting(ChunkDirectory& files, ChunkFileId id, uint64_t offset,
                           std::span<std::byte> into) EXCLUDES(mu_);
  base::Result<std::vector<std::byte>> ReadWhole(ChunkDirectory& files, ChunkFileId id)
      EXCLUDES(mu_);

  // Collecting (disk_tier_collect.cc).
  void AddDeferred() EXCLUDES(mu_);
  bool Collect(const FetchedBlock& block) EXCLUDES(mu_);

  // Loading (disk_tier_load.cc).
  void OpenDirectory(uint32_t directory) EXCLUDES(mu_);
  void Load(uint32_t directory) EXCLUDES(mu_);
  void OnFound(uint32_t directory, FoundChunk found, std::vector<Doomed>& doomed) EXCLUDES(mu_);
  void EndLoad() EXCLUDES(mu_);
  void AddBad(uint32_t directory, ChunkFileId id, uint64_t allocated_bytes,
              std::vector<Doomed>& doomed) REQUIRES(mu_);

  // Writing (disk_tier_write.cc).
  void RunDirectory(uint32_t directory);
  bool WaitForWork(uint32_t directory) EXCLUDES(mu_);
  bool MayWriteAtEnd(uint32_t directory) const EXCLUDES(mu_);
  std::optional<uint32_t> BestDirectory() const REQUIRES(mu_);
  bool AnyHealthy() const REQUIRES(mu_);
  void WriteNext(uint32_t directory) EXCLUDES(mu_);
  enum class Outcome : uint8_t { kDone, kElsewhere, kDropped };
  enum class WriteKind : uint8_t { kFetched, kCompacted };
  struct WriteOrder {
    uint32_t directory;
    WriteKind kind;
  };
  Outcome Write(const DiskBundle& bundle, WriteOrder order) EXCLUDES(mu_);
  bool CanFit(const DiskBundle& bundle, WriteOrder order, uint64_t bytes,
              std::vector<Doomed>& doomed) REQUIRES(mu_);
  void AddWritten(const ChunkHead& head, const DiskFile& file, WriteKind kind) REQUIRES(mu_);
  uint64_t FloorBytes(const base::StorageSpace& space) const;
  void KeepFloor(uint32_t directory) EXCLUDES(mu_);
  bool IsPinned(uint64_t name) const REQUIRES(mu_);

  // Compacting (disk_tier_compact.cc).
  void RunCompactor();
  void SweepIfChanged() EXCLUDES(mu_);
  struct Victim {
    DiskFile file;
    std::shared_ptr<ChunkDirectory> files;
  };
  std::vector<Victim> ChooseVictims() EXCLUDES(mu_);
  void Compact(const std::vector<Victim>& victims) EXCLUDES(mu_);
  void AddLiveBlocks(const Victim& victim, DiskBundle& bundle) EXCLUDES(mu_);

  const Options options_;
  OriginLocator& locator_;
  MemoryTier& memory_;
  base::Storage& storage_;
  base::Journal& journal_;
  const base::Clock& clock_;
  const uint64_t layout_tag_;
  const uint64_t bundle_bytes_;
  // Of the budget, for compaction alone: with nothing left it could free nothing.
  const uint64_t reserve_bytes_;
  DiskStatistics statistics_;
  DiskCollector collector_;
  // Atomic: looked at under the read path's lock. The time of the last write that ended, and
  // whether blocks wait for room in the collector.
  std::atomic<int64_t> last_progress_ns_{0};
  std::atomic<bool> is_deferring_{false};
  std::atomic<bool> loading_{true};    // atomic: Holds asks without the lock
  base::TimePoint load_until_{};       // set by Start, before the threads
  base::TimePoint next_compaction_{};  // the compactor's, as is the next
  uint64_t swept_version_ = 0;

  mutable base::Mutex mu_;
  base::CondVar work_or_stop_;
  base::CondVar changed_;  // a bundle was written or dropped, a thread ended
  DiskIndex index_ GUARDED_BY(mu_);
  std::vector<Directory> directories_ GUARDED_BY(mu_);
  uint64_t used_bytes_ GUARDED_BY(mu_) = 0;
  std::vector<uint64_t> pins_ GUARDED_BY(mu_);  // BlockName::name, risen
  std::deque<BlockKey> deferred_ GUARDED_BY(mu_);
  std::vector<FetchItem> waiting_ GUARDED_BY(mu_);  // for the end of the load
  bool stopping_ GUARDED_BY(mu_) = false;
  size_t threads_alive_ GUARDED_BY(mu_) = 0;
  std::vector<std::thread> threads_;  // of Start and Stop only
};

}  // namespace stokefs::cache
