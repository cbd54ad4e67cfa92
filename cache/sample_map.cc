#include "cache/sample_map.h"

#include <algorithm>
#include <utility>

#include "cache/sample_blocks.h"

namespace stokefs::cache {

std::unique_ptr<const SampleMap> SampleMap::Make(std::vector<File> files, const Options& options) {
  std::erase_if(files, [](const File& file) { return file.size_bytes == 0; });
  auto const is_large = [&](const File& file) { return file.size_bytes > options.extent_bytes; };
  std::sort(files.begin(), files.end(), [&](const File& a, const File& b) {
    return is_large(a) != is_large(b) ? is_large(b) : a.id < b.id;
  });
  std::vector<LaidOutSample> small;
  std::vector<NodeId> node_of_sample;
  std::vector<uint32_t> sizes;
  uint64_t count = 0;
  for (File const& file : files)
    count += SampleBlocks{file.node, file.size_bytes, options.extent_bytes}.Count();
  if (count == 0 || count >= kNone) return nullptr;
  node_of_sample.reserve(count);
  sizes.reserve(count);
  for (File const& file : files) {
    if (!is_large(file)) small.push_back({.id = file.id, .size_bytes = file.size_bytes});
    for (uint64_t left = file.size_bytes; left > 0;) {
      uint64_t const size = std::min(left, options.extent_bytes);
      node_of_sample.push_back(file.node);
      sizes.push_back(static_cast<uint32_t>(size));
      left -= size;
    }
  }
  std::vector<uint32_t> chunk_sizes;
  for (Chunk const& chunk : LayOutChunks(small, options.layout)) chunk_sizes.push_back(chunk.count);
  chunk_sizes.resize(chunk_sizes.size() + (count - small.size()), 1);
  return std::unique_ptr<const SampleMap>(
      new SampleMap(DatasetShape(chunk_sizes, std::move(sizes)), std::move(node_of_sample)));
}

SampleMap::SampleMap(DatasetShape shape, std::vector<NodeId> node_of_sample)
    : shape_(std::move(shape)), node_of_sample_(std::move(node_of_sample)) {
  NodeId const last = *std::max_element(node_of_sample_.begin(), node_of_sample_.end());
  first_of_node_.resize(size_t{last.value} + 1, kNone);
  for (size_t i = node_of_sample_.size(); i-- > 0;)
    first_of_node_[node_of_sample_[i].value] = static_cast<uint32_t>(i);
}

}  // namespace stokefs::cache
