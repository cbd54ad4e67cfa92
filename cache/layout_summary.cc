#include "cache/layout_summary.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

namespace stokefs::cache {

static_assert(std::endian::native == std::endian::little, "digests are of little-endian words");

std::vector<LaidOutSample> CollectSamples(const NodeTable& table) {
  std::vector<LaidOutSample> samples;
  samples.reserve(table.Counts().samples);
  std::vector<NodeId> left{kRootNode};
  std::string path;
  while (!left.empty()) {
    NodeId const folder = left.back();
    left.pop_back();
    std::string const folder_path = table.Path(folder);
    for (uint32_t const value : table.Children(folder)) {
      NodeId const child{value};
      if (table.IsFolder(child)) left.push_back(child);
      if (table.Type(child) != FileType::kRegular) continue;
      path = folder_path;
      if (!path.empty()) path += '/';
      path += table.Name(child);
      samples.push_back({.id = MakeSampleId(path), .size_bytes = table.Version(child).size_bytes});
    }
  }
  return samples;
}

LayoutSummary SummarizeLayout(std::vector<LaidOutSample> samples, ChunkLayoutOptions options,
                              uint64_t extent_bytes) {
  std::sort(samples.begin(), samples.end(),
            [](const LaidOutSample& a, const LaidOutSample& b) { return a.id < b.id; });
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> const state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_128bits_reset(state.get());
  uint64_t const layout[] = {options.chunk_bytes, options.chunk_samples, extent_bytes};
  XXH3_128bits_update(state.get(), layout, sizeof(layout));
  LayoutSummary summary;
  for (LaidOutSample const& sample : samples) {
    uint64_t const words[] = {sample.id.high, sample.id.low, sample.size_bytes};
    XXH3_128bits_update(state.get(), words, sizeof(words));
    ++summary.samples;
    summary.bytes += sample.size_bytes;
    if (sample.size_bytes > extent_bytes) {
      summary.chunks += (sample.size_bytes + extent_bytes - 1) / extent_bytes;
    }
  }
  XXH128_hash_t const hash = XXH3_128bits_digest(state.get());
  char digits[33];
  snprintf(digits, sizeof(digits), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
           static_cast<unsigned long long>(hash.low64));
  summary.digest = digits;
  std::erase_if(samples, [&](const LaidOutSample& s) { return s.size_bytes > extent_bytes; });
  summary.chunks += LayOutChunks(samples, options).size();
  return summary;
}

}  // namespace stokefs::cache
