#include "cache/importance_table.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace stokefs::cache {

ImportanceTable::ImportanceTable(const DatasetShape& shape)
    : shape_(shape), buckets_(shape.sample_count(), kAverageBucket) {
  bucket_bytes_[kAverageBucket] = shape.total_bytes();
  for (uint32_t i = 0; i < shape.sample_count(); ++i) Set({i}, 1);  // a byte's worth, by its size
  changed_count_ = 0;
}

void ImportanceTable::Set(SampleIndex sample, double value) {
  STOKEFS_CHECK(std::isfinite(value) && value >= 0);
  uint32_t const size = shape_.SizeOf(sample);
  double const average_size =
      static_cast<double>(shape_.total_bytes()) / static_cast<double>(shape_.sample_count());
  int bucket = 0;
  if (value > 0) {
    double const octave = std::log2(value) + std::log2(average_size / size);
    bucket = static_cast<int>(std::lround(std::clamp(octave, -8.0, 8.0) * kStepsPerOctave));
    bucket = std::clamp(bucket + kAverageBucket, 1, static_cast<int>(kBucketCount) - 1);
  }
  uint8_t& now = buckets_[sample.value];
  if (now == bucket) return;
  bucket_bytes_[now] -= size;
  now = static_cast<uint8_t>(bucket);
  bucket_bytes_[now] += size;
  ++changed_count_;
}

ImportanceTable::Cut ImportanceTable::CutFor(uint64_t bytes) {
  changed_count_ = 0;
  for (unsigned bucket = kBucketCount - 1; bucket > 0; --bucket) {
    if (bucket_bytes_[bucket] > bytes) {
      double const share = static_cast<double>(bytes) / static_cast<double>(bucket_bytes_[bucket]);
      return {.bucket = bucket, .share = static_cast<uint32_t>(share * 65536)};
    }
    bytes -= bucket_bytes_[bucket];
  }
  return {.bucket = 0, .share = 0};
}

double ImportanceTable::ValueAt(const Cut& cut) {
  return std::exp2((static_cast<double>(cut.bucket) - kAverageBucket) / kStepsPerOctave);
}

}  // namespace stokefs::cache
