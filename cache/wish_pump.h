// Turns the epoch policy's wishes into background fetches: bounded in bytes, behind all that
// readers wait for, and in no room but that of spent samples.
//
// A thread of its own takes wishes when it is poked (samples were read) and when half of what is
// under way has ended. What found no room is tried again at the next poke, as what fits
// where comes by itself that way; what failed otherwise
// stays "coming" for the policy for a while, so that nobody asks a broken origin in a circle.
// Thread-safe. Lock: mu_, a leaf.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/epoch_replacement.h"
#include "cache/memory_tier.h"
#include "cache/read_path.h"

namespace stokefs::cache {

class WishPump {
 public:
  struct Options {
    uint64_t under_way_bytes_max = 1u << 20;  // one block may exceed it
    base::Duration failed_pause = std::chrono::seconds(30);
  };
  // As ReadPath::Prefetch.
  using Prefetch = std::function<size_t(std::span<const BlockKey>, RoomRule, PrefetchDone)>;

  // All outlive this. What `prefetch` tells later must end before this does (ReadPath::Shutdown).
  WishPump(Options options, MemoryTier& memory, EpochReplacement& replacement, Prefetch prefetch,
           const base::Clock& clock);
  ~WishPump();

  void Poke() EXCLUDES(mu_);
  // Ends the thread; `prefetch` is not called any more. Also done by the destructor.
  void Stop() EXCLUDES(mu_);

 private:
  struct Ended {
    BlockKey key;
    std::errc error{};  // 0: it came
  };
  struct Failed {
    BlockKey key;
    base::TimePoint when;
  };

  void Run() EXCLUDES(mu_);
  void Round(std::vector<Ended> ended, bool poked);
  void Settle(EpochSteering& steering, const std::vector<Ended>& ended);
  void Choose(EpochSteering& steering, std::vector<BlockKey>& keys);
  void Ask(const std::vector<BlockKey>& keys) EXCLUDES(mu_);

  const Options options_;
  MemoryTier& memory_;
  EpochReplacement& replacement_;
  const Prefetch prefetch_;
  const base::Clock& clock_;

  // Of the thread.
  std::deque<BlockKey> pending_;                                    // wished for and not asked for
  std::unordered_map<BlockKey, uint64_t, BlockKeyHash> under_way_;  // → bytes
  uint64_t under_way_bytes_ = 0;
  std::deque<Failed> failed_;
  std::vector<BlockKey> short_;  // of room, since the last poke
  bool is_full_ = false;         // the queue of `prefetch`, since the last poke
  ChunkWish wish_;

  base::Mutex mu_;
  base::CondVar changed_;
  std::vector<Ended> ended_ GUARDED_BY(mu_);
  size_t asked_count_ GUARDED_BY(mu_) = 0;  // that have not ended, or whose end was not taken
  bool poked_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: starts when everything above stands
};

}  // namespace stokefs::cache
