// Tells readers that shuffle from readers that go in order (cp -r, grep, find, tar, a validation
// pass): whether a group's reads look like training.
//
// A read is in order when it is near the one before, by their nodes, which folders number in their
// order: within a sixteenth of the dataset (reads that the kernel answered by itself leave gaps,
// workers take batches in turn); or when its block follows one of the last 64 that were read, in
// the order of the dataset or as the next extent of its file. Each read that is not adds 1 to a
// score, each that is takes 1 away, and at 32 it is no chance any more. Pure but for the order that
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

  struct Options {
    uint64_t sample_count = 0;  // of the dataset, about
  };
  // `order` outlives this.
  ShuffleDetector(Options options, const SampleOrder& order)
      : near_(options.sample_count / 16), order_(&order) {}

  // True: the group shuffles, and `evidence` are reads that show it.
  bool OnRead(BlockKey key);
  std::span<const BlockKey> evidence() const { return evidence_; }

 private:
  static constexpr size_t kRecentCount = 64;

  bool IsNear(BlockKey key) const;
  bool Follows(BlockKey key) const;

  uint64_t near_;  // nodes apart
  const SampleOrder* order_;
  std::array<BlockKey, 2 * kRecentCount> expected_{};  // two a read: what may follow it in order
  size_t expected_count_ = 0;                          // of all times
  BlockKey last_;
  std::vector<BlockKey> evidence_;  // reads out of order since the score was 0
  size_t score_ = 0;
};

}  // namespace stokefs::cache
