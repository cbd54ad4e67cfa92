// Belady's rule with knowledge of all that will be read: the farthest next use goes first, and what
// is read later than everything in memory is not kept. It reads nothing ahead, so it is the best of
// all policies that fetch on a miss only. Belady: "A study of replacement algorithms for a
// virtual-storage computer", IBM Systems Journal 5, 1966. A bit and 1/64 for each read of the
// trace, 4 bytes a sample.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/sample_policy.h"

namespace stokefs::cache::baseline {

// All that will be read. Positions count the reads from 0.
class FutureReads {
 public:
  virtual ~FutureReads() = default;
  virtual uint64_t ReadCount() const = 0;
  virtual SampleIndex SampleAt(uint64_t position) const = 0;
  // Where the sample that is being read now is read next; ReadCount() when never again.
  virtual uint64_t NextUse() const = 0;
};

// A set of numbers below a bound, its largest found by one look at each of a few levels.
class NumberSet {
 public:
  explicit NumberSet(uint64_t bound);
  void Insert(uint64_t number);
  void Erase(uint64_t number);
  std::optional<uint64_t> Largest() const { return LargestUpTo(bound_ - 1); }
  // The largest that is at most `number`.
  std::optional<uint64_t> LargestUpTo(uint64_t number) const;

 private:
  const uint64_t bound_;
  std::vector<std::vector<uint64_t>> levels_;  // bits; each says which words below it are not 0
};

class Belady final : public SamplePolicy {
 public:
  struct Options {
    uint64_t capacity_samples = 0;
  };
  // `future` outlives this.
  Belady(const DatasetShape& shape, Options options, const FutureReads& future);

  After OnHit(SampleIndex sample, JobIndex job) override;
  After OnMiss(SampleIndex sample, JobIndex job) override;
  void OnInsert(SampleIndex sample) override;
  void OnRemove(SampleIndex sample) override;
  std::optional<SampleIndex> ChooseVictim(const SampleFilter& filter) override;

 private:
  // When it is read next; those that never are come after all reads, each at a place of its own.
  uint64_t KeyOf(SampleIndex sample) const;

  const FutureReads& future_;
  const uint64_t capacity_samples_;
  std::vector<uint32_t> next_use_;  // by sample
  NumberSet cached_;                // keys of what is in memory
  uint64_t cached_count_ = 0;
};

}  // namespace stokefs::cache::baseline
