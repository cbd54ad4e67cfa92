// Blocks on their way to the disk: copied into bundles, each of which becomes one chunk file.
//
//   filling --full, old, or wanted--> sealed --TakeSealed--> being written --Finish--> (free)
//                                       ^                          |
//                                       +------- GiveBack ---------+
//
// A block can be read here from Add until Finish. Thread-safe; the mutex is a leaf. Memory: at most
// `bundles_max` buffers of `bundle_bytes`, made when first needed; or one larger block.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/sync.h"
#include "cache/chunk_format.h"
#include "cache/disk_index.h"

namespace stokefs::cache {

// Blocks of one chunk file to be. `entries` have no offsets yet; block i's bytes lie at starts[i].
struct DiskBundle {
  std::vector<ChunkEntry> entries;
  std::vector<size_t> starts;
  std::vector<std::byte> bytes;
  base::TimePoint last_added{};

  std::span<const std::byte> BytesOf(size_t i) const {
    return std::span(bytes).subspan(starts[i], entries[i].size_bytes);
  }
};

class DiskCollector {
 public:
  struct Options {
    uint64_t bundle_bytes = 4u << 20;  // payload; one larger block makes a bundle of its own
    uint32_t bundle_blocks = 1024;
    size_t bundles_max = 4;
    // Bundles filled at a time, one a directory: the extents of a large file are dealt out to them
    // in turn, so that who reads it as a stream has all disks at work. Other blocks go to the
    // first.
    size_t lanes = 1;
  };
  explicit DiskCollector(Options options) : options_(options), filling_(options.lanes) {}

  enum class Added : uint8_t { kAdded, kKnown, kFull };
  // `entry` without offset; an extent above 0 tells a large file. kKnown: this version is here
  // already; kFull: there is no room; what is being filled in its way is sealed.
  Added Add(const ChunkEntry& entry, std::span<const std::byte> bytes, base::TimePoint now);

  // Copies a block's bytes; false when it is not here or not of this length.
  bool Read(BlockName block, std::span<std::byte> into) const;
  bool Has(BlockName block) const;

  // Seals each bundle to which nothing was added since `before`.
  void Seal(base::TimePoint before);

  std::unique_ptr<DiskBundle> TakeSealed();  // the oldest; null: none
  void GiveBack(std::unique_ptr<DiskBundle> bundle);
  void Finish(std::unique_ptr<DiskBundle> bundle);  // its blocks are elsewhere now, or nowhere

  size_t SealedCount() const;
  // Only one more bundle can be begun. An atomic look.
  bool IsNearlyFull() const { return is_nearly_full_.load(std::memory_order_relaxed); }
  bool IsEmpty() const;  // nothing filling, sealed or being written
  uint64_t PendingBytes() const;

 private:
  struct Where {
    const DiskBundle* bundle;
    size_t index;
    uint64_t tag;
  };

  void SealFilling(base::TimePoint before) REQUIRES(mu_);
  void CountBundles(size_t count) REQUIRES(mu_) {
    bundle_count_ = count;
    is_nearly_full_.store(count + 1 >= options_.bundles_max, std::memory_order_relaxed);
  }

  const Options options_;
  std::atomic<bool> is_nearly_full_{false};  // atomic: looked at under other locks
  mutable base::Mutex mu_;
  std::vector<std::unique_ptr<DiskBundle>> filling_ GUARDED_BY(mu_);  // by lane; null: none
  std::deque<std::unique_ptr<DiskBundle>> sealed_ GUARDED_BY(mu_);
  size_t bundle_count_ GUARDED_BY(mu_) = 0;  // filling, sealed and being written
  uint64_t pending_bytes_ GUARDED_BY(mu_) = 0;
  std::unordered_map<uint64_t, Where> pending_ GUARDED_BY(mu_);  // by BlockName::name
};

}  // namespace stokefs::cache
