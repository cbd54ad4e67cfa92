// How often each sample is expected to be read, coarsely: one byte a sample, and which samples are
// the most worth their bytes.
//
// Values are kept as expected reads a byte, in buckets a 16th of an octave apart (4.4%), from 2^-8
// to 2^8 times the average sample's; what is above or below is in the outermost bucket, and 0 is
// never worth anything. Under independent draws with known weights the samples of the highest
// weight a byte are the best set to keep ("A0": Aho, Denning, Ullman, "Principles of Optimal Page
// Replacement", JACM 1971). Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cache/dataset_shape.h"

namespace stokefs::cache {

class ImportanceTable {
 public:
  // The set that is kept: all above `bucket`, and `share` of 2^16 of those in it.
  struct Cut {
    unsigned bucket = kBucketCount;
    uint32_t share = 0;
  };

  // Every sample is average (1). `shape` outlives this.
  explicit ImportanceTable(const DatasetShape& shape);

  // `value`: expected reads relative to the average sample; finite and at least 0.
  void Set(SampleIndex sample, double value);
  // Samples whose bucket has changed since the last call of CutFor.
  uint64_t changed_count() const { return changed_count_; }

  // The most valuable samples that fit in `bytes`.
  Cut CutFor(uint64_t bytes);
  bool Keeps(const Cut& cut, SampleIndex sample) const {
    unsigned const bucket = buckets_[sample.value];
    if (bucket != cut.bucket) return bucket > cut.bucket;
    // A fixed draw, so that the same samples of the bucket are kept each time.
    return ((sample.value * 0x9E3779B1u) >> 16) < cut.share;
  }
  // Expected reads a byte at the cut, relative to the average.
  static double ValueAt(const Cut& cut);

 private:
  static constexpr unsigned kBucketCount = 256;  // bucket 0: never read
  static constexpr int kAverageBucket = 128;
  static constexpr int kStepsPerOctave = 16;

  const DatasetShape& shape_;
  std::vector<uint8_t> buckets_;                       // by sample
  std::array<uint64_t, kBucketCount> bucket_bytes_{};  // of all samples in the bucket
  uint64_t changed_count_ = 0;
};

}  // namespace stokefs::cache
