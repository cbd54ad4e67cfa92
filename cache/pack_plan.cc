#include "cache/pack_plan.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "cache/byte_codec.h"

namespace stokefs::cache {
namespace {

FileVersion VersionOf(const OriginStat& stat) {
  return {.size_bytes = stat.size_bytes,
          .inode = stat.inode,
          .mtime_ns = stat.mtime_ns,
          .ctime_ns = stat.ctime_ns};
}

std::string PathOf(const PackFolder& folder, size_t entry) {
  std::string path = folder.path;
  if (!path.empty()) path += '/';
  path += folder.listing.Name(entry);
  return path;
}

}  // namespace

PackPlan::PackPlan(const PackTree& tree, ChunkLayoutOptions layout, uint64_t extent_bytes)
    : tree_(tree), layout_(layout), extent_bytes_(extent_bytes) {
  std::vector<LaidOutSample> small;  // the empty ones too, as the catalog lays them out
  for (uint32_t f = 0; f < tree.folders.size(); ++f) {
    FolderListing const& listing = tree.folders[f].listing;
    for (uint32_t e = 0; e < listing.Count(); ++e) {
      OriginStat const& stat = listing.Stat(e);
      if (stat.type != FileType::kRegular) continue;
      SampleId const id = MakeSampleId(PathOf(tree.folders[f], e));
      ++sample_count_;
      sample_bytes_ += stat.size_bytes;
      if (stat.size_bytes <= extent_bytes) small.push_back({id, stat.size_bytes});
      if (stat.size_bytes > 0) samples_.push_back({id, f, e});
    }
  }
  std::sort(samples_.begin(), samples_.end(), [&](const Sample& a, const Sample& b) {
    bool const a_large = StatOf(a).size_bytes > extent_bytes;
    bool const b_large = StatOf(b).size_bytes > extent_bytes;
    return a_large != b_large ? b_large : a.id < b.id;
  });
  std::sort(small.begin(), small.end(),
            [](const LaidOutSample& a, const LaidOutSample& b) { return a.id < b.id; });
  PlanBuckets(small);
  uint64_t small_count = 0;
  for (LaidOutSample const& sample : small) small_count += sample.size_bytes > 0 ? 1 : 0;
  for (uint64_t i = small_count; i < samples_.size(); ++i) PlanRuns(i);
}

void PackPlan::PlanBuckets(const std::vector<LaidOutSample>& small) {
  uint64_t next = 0;
  for (Chunk const& chunk : LayOutChunks(small, layout_)) {
    PlannedFile file{.id = chunk.id, .first_sample = next};
    for (uint32_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
      if (small[i].size_bytes > 0) ++file.sample_count;
    }
    next += file.sample_count;
    if (file.sample_count > 0) files_.push_back(file);
  }
}

void PackPlan::PlanRuns(uint64_t sample_index) {
  Sample const& sample = samples_[sample_index];
  uint64_t const extents = (StatOf(sample).size_bytes + extent_bytes_ - 1) / extent_bytes_;
  uint64_t const per_file = std::clamp<uint64_t>(kRunBytes / extent_bytes_, 1, kChunkEntryCountMax);
  STOKEFS_CHECK(extents <= 0xFFFFFFFF);
  for (uint64_t first = 0; first < extents; first += per_file) {
    files_.push_back({.id = CommonPrefix(sample.id, sample.id),
                      .first_sample = sample_index,
                      .sample_count = 1,
                      .first_extent = static_cast<uint32_t>(first),
                      .extent_count = static_cast<uint32_t>(std::min(per_file, extents - first))});
  }
}

const OriginStat& PackPlan::StatOf(const Sample& sample) const {
  return tree_.folders[sample.folder].listing.Stat(sample.entry);
}

ChunkHead PackPlan::HeadOf(const PlannedFile& file) const {
  ChunkHead head{.id = file.id, .layout = LayoutTag(layout_, extent_bytes_)};
  auto const add = [&](const Sample& sample, uint32_t extent, uint64_t size_bytes) {
    OriginStat const& stat = StatOf(sample);
    head.entries.push_back({.sample = sample.id,
                            .extent = extent,
                            .size_bytes = static_cast<uint32_t>(size_bytes),
                            .tag = TagOf(sample.id, extent, VersionOf(stat)),
                            .mtime_ns = stat.mtime_ns});
  };
  for (uint64_t i = file.first_sample; i < file.first_sample + file.sample_count; ++i) {
    Sample const& sample = samples_[i];
    uint64_t const size_bytes = StatOf(sample).size_bytes;
    if (file.extent_count == 0) add(sample, 0, size_bytes);
    for (uint32_t e = file.first_extent; e < file.first_extent + file.extent_count; ++e) {
      add(sample, e, std::min(extent_bytes_, size_bytes - e * extent_bytes_));
    }
  }
  // Two blocks alike would need two samples of one id; the index refuses them later, by name.
  STOKEFS_CHECK(PlacePayload(head).has_value());
  return head;
}

OriginFile PackPlan::Source(const PlannedFile& file, size_t entry) const {
  Sample const& sample = samples_[file.first_sample + (file.extent_count == 0 ? entry : 0)];
  return {.path = PathOf(tree_.folders[sample.folder], sample.entry),
          .version = VersionOf(StatOf(sample))};
}

SampleId MembersOf(const ChunkHead& head) {
  ByteWriter words;
  words.Put(head.id.prefix);
  words.Put(uint64_t{head.id.bit_count});
  words.Put(head.layout);
  for (ChunkEntry const& entry : head.entries) {
    words.Put(entry.sample.high);
    words.Put(entry.sample.low);
    words.Put(uint64_t{entry.extent});
    words.Put(entry.tag);
  }
  XXH128_hash_t const hash = XXH3_128bits(words.bytes().data(), words.bytes().size());
  return {.high = hash.high64, .low = hash.low64};
}

}  // namespace stokefs::cache
