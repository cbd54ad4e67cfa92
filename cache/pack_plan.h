// Which blocks of a source go into which chunk file: the layout of all samples, and of the extents
// of the large ones. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/chunk_format.h"
#include "cache/chunk_layout.h"
#include "cache/origin_locator.h"
#include "cache/pack_tree.h"

namespace stokefs::cache {

// Extents of one large file that share a chunk file: as many as make up this.
inline constexpr uint64_t kRunBytes = 64u << 20;

struct PlannedFile {
  ChunkId id;
  uint64_t first_sample = 0;  // of the plan's samples
  uint32_t sample_count = 0;  // 1 in a run
  uint32_t first_extent = 0;
  uint32_t extent_count = 0;  // 0: a bucket, of whole samples
};

class PackPlan {
 public:
  // `tree` outlives the plan.
  PackPlan(const PackTree& tree, ChunkLayoutOptions layout, uint64_t extent_bytes);

  const std::vector<PlannedFile>& files() const { return files_; }
  uint64_t SampleCount() const { return sample_count_; }
  uint64_t SampleBytes() const { return sample_bytes_; }

  // The head that the file is to have, but for the digests. Entry i is of Source(file, i).
  ChunkHead HeadOf(const PlannedFile& file) const;
  OriginFile Source(const PlannedFile& file, size_t entry) const;

 private:
  // A sample that is not empty: empty ones have no bytes to be packed.
  struct Sample {
    SampleId id;
    uint32_t folder = 0;
    uint32_t entry = 0;  // of the folder's listing
  };
  const OriginStat& StatOf(const Sample& sample) const;
  void PlanBuckets(const std::vector<LaidOutSample>& small);
  void PlanRuns(uint64_t sample_index);

  const PackTree& tree_;
  const ChunkLayoutOptions layout_;
  const uint64_t extent_bytes_;
  uint64_t sample_count_ = 0;
  uint64_t sample_bytes_ = 0;
  std::vector<Sample> samples_;  // sorted: first the small ones, then the large ones
  std::vector<PlannedFile> files_;
};

// 128 bits that tell a file's blocks and their versions, without their bytes.
SampleId MembersOf(const ChunkHead& head);

}  // namespace stokefs::cache
