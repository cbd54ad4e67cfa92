// Reads ahead of who reads in order: streams in large files and walks over many small ones.
//
// Observes what was read, lets SampleWalks and FileStreams say what comes next, and wishes for it
// in the background: at most `unread_bytes_max` of blocks that were fetched and not read. Whether
// the wishes were worth it is counted. Runs on the thread of its event queue; Statistics may be
// read by any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/sync.h"
#include "cache/block_layout.h"
#include "cache/file_streams.h"
#include "cache/ids.h"
#include "cache/memory_tier.h"
#include "cache/read_event.h"
#include "cache/read_path.h"
#include "cache/sample_order.h"
#include "cache/sample_walks.h"

namespace stokefs::cache {

struct ReadAheadStatistics {
  base::Counter prefetched;  // blocks that came for it
  base::Counter used;        // of those and of those under way: read
  base::Counter wasted;      // not read within `wasted_after`
};

class ReadAhead final : public ReadObserver {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;
    uint64_t memory_bytes = 0;   // the arena's; each stream and walk gets an eighth at most
    size_t under_way_max = 512;  // blocks; below the read path's own bound, which others share
    base::Duration wasted_after = std::chrono::seconds(30);
  };
  // As ReadPath::Prefetch.
  using Prefetch = std::function<size_t(std::span<const BlockKey>, RoomRule, PrefetchDone)>;

  // All outlive this. What `prefetch` tells later must end before this does (ReadPath::Shutdown).
  ReadAhead(Options options, const SampleOrder& order, const BlockLayout& layout, Prefetch prefetch,
            const base::Clock& clock);

  void OnReads(std::span<const ReadEvent> events) override;
  void OnIdle() override;

  const ReadAheadStatistics& Statistics() const { return statistics_; }

 private:
  struct Wished {
    BlockKey key;
    base::TimePoint when;
  };
  struct Ended {
    BlockKey key;
    bool brought = false;  // else it failed, or was in memory before
  };

  void NoteRead(const ReadEvent& event);
  void NoteEnded() EXCLUDES(mu_);
  void NoteWasted(base::TimePoint now);
  void Ask(const std::vector<BlockKey>& wishes);
  void Remember(BlockKey key, base::TimePoint now);
  bool Forget(BlockKey key);

  const Options options_;
  const BlockLayout& layout_;
  const Prefetch prefetch_;
  const base::Clock& clock_;
  ReadAheadStatistics statistics_;  // counters are atomic

  // Of the queue's thread.
  SampleWalks walks_;
  FileStreams streams_;
  std::unordered_map<BlockKey, uint64_t, BlockKeyHash> unread_;  // wished for → its bytes
  std::deque<Wished> wished_;  // the same, oldest first, and some that were read meanwhile
  uint64_t unread_bytes_ = 0;

  base::Mutex mu_;
  size_t under_way_count_ GUARDED_BY(mu_) = 0;
  std::vector<Ended> ended_ GUARDED_BY(mu_);  // to be noted by the queue's thread
};

}  // namespace stokefs::cache
