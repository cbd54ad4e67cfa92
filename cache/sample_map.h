// One version of the catalog as the sample policies see it: its shape, and which block of which
// node each sample is.
//
// Small files come first, sorted by SampleId as chunks are laid out; then the extents of large
// files, those of one file in a row, each a chunk of its own. Empty files are left out, because the
// kernel reads nothing of them. Immutable, thread-safe. 8 bytes a sample, and 4 for each node up to
// the largest, beside the shape.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cache/chunk_layout.h"
#include "cache/dataset_shape.h"
#include "cache/ids.h"

namespace stokefs::cache {

class SampleMap {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;
    ChunkLayoutOptions layout;
  };
  struct File {
    SampleId id;
    NodeId node;
    uint64_t size_bytes = 0;
  };
  // Null when there is no sample, or are too many for their numbers.
  static std::unique_ptr<const SampleMap> Make(std::vector<File> files, const Options& options);

  const DatasetShape& shape() const { return shape_; }
  std::optional<SampleIndex> Find(BlockKey key) const {
    if (key.node.value >= first_of_node_.size()) return std::nullopt;
    uint32_t const first = first_of_node_[key.node.value];
    if (first == kNone || key.index >= node_of_sample_.size() - first) return std::nullopt;
    SampleIndex const sample{first + key.index};
    if (node_of_sample_[sample.value] != key.node) return std::nullopt;
    return sample;
  }
  BlockKey KeyOf(SampleIndex sample) const {
    NodeId const node = node_of_sample_[sample.value];
    return {node, sample.value - first_of_node_[node.value]};
  }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};

  SampleMap(DatasetShape shape, std::vector<NodeId> node_of_sample);

  const DatasetShape shape_;
  const std::vector<NodeId> node_of_sample_;
  std::vector<uint32_t> first_of_node_;
};

}  // namespace stokefs::cache
