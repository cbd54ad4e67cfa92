// Tells readers that shuffle from readers that go in order (cp -r, grep, find, tar, a validation
// pass): whether a group's reads look like training.
//
// A read is in order when its block follows one of the last 64 that were read, in the order of the
// dataset or as the next extent of its file (workers take batches in turn); or when it lies behind
// one of the last 32 by at most 4 nodes, which folders number in their order, or near the one
// before: within a sixteenth of what the last 32 span (reads that the kernel answered by itself
// leave gaps). Each read that is not adds 1 to a score, each that is takes 1 away, and at 32 it is
// no chance any more. By chance a shuffled read of M samples is in order in one of 8 cases, and 192
// of M: a folder of some 300 samples or less has nobody who shuffles. Pure but for the order that
// it asks; not thread-safe. O(64) a read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/ids.h"
#include "cache/sample_order.h"

namespace stokefs::cache {

class ShuffleDetector {
 public:
  static constexpr size_t kScoreMin = 32;

  explicit ShuffleDetector(const SampleOrder& order) : order_(&order) {}  // outlives this

  // True: the group shuffles, and `evidence` are reads that show it.
  bool OnRead(BlockKey key);
  std::span<const BlockKey> evidence() const { return evidence_; }

 private:
  static constexpr size_t kRecentCount = 64;

  static constexpr size_t kNearCount = 32;

  bool IsNear(BlockKey key) const;
  bool Follows(BlockKey key) const;

  const SampleOrder* order_;
  std::array<BlockKey, 2 * kRecentCount> expected_{};  // two a read: what may follow it in order
  size_t expected_count_ = 0;                          // of all times
  std::array<uint32_t, kNearCount> nodes_{};           // of the last reads
  size_t node_count_ = 0;                              // of all times
  BlockKey last_;
  std::vector<BlockKey> evidence_;  // reads out of order since the score was 0
  size_t score_ = 0;
};

}  // namespace stokefs::cache
