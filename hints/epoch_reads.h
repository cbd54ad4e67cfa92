// What one epoch's readers have read so far: the first reads of each, and its last one.
//
// Bounded: kReadersMax readers, kOpeningMax first reads each; of more readers nothing is kept.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "hints/candidate.h"

namespace stokefs::hints {

class EpochReads {
 public:
  static constexpr size_t kReadersMax = 1024;
  static constexpr size_t kOpeningMax = 64;

  // False: the reader's last sample again, or a reader too many.
  bool Add(cache::ReaderId reader, uint32_t index);

  // By their first read: the earliest reader first.
  std::span<const Opening> Openings() const { return openings_; }
  // The last read of the reader of Openings()[i].
  uint32_t LastOf(size_t i) const { return last_[i]; }
  uint64_t ReadCount() const { return read_count_; }
  // Readers with at least kReadsMin reads.
  size_t UsableCount() const { return usable_count_; }

 private:
  std::vector<Opening> openings_;
  std::vector<uint32_t> last_;
  std::unordered_map<uint32_t, size_t> at_;  // thread id -> place in openings_
  uint64_t read_count_ = 0;
  size_t usable_count_ = 0;
};

}  // namespace stokefs::hints
