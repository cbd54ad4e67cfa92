// A dataset of folders with numbered files, as a DatasetView shows it; a test changes it at will.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/dataset_view.h"

namespace stokefs::testing {

class FakeDataset final : public cache::DatasetView, public cache::SampleOrder {
 public:
  struct File {
    std::string path;
    uint64_t size_bytes = 0;
  };

  // `count` files more in `folder`, with the nodes that follow. Returns the first one's.
  uint32_t Add(const std::string& folder, uint32_t count, uint64_t size_bytes) {
    auto const first = static_cast<uint32_t>(files.size()) + 1;
    for (uint32_t i = 0; i < count; ++i)
      files.push_back({folder + "/" + std::to_string(100'000 + i), size_bytes});
    ++version;
    return first;
  }

  uint64_t Version() const override { return version; }
  void Visit(std::string_view folder,
             const std::function<void(const cache::CatalogSample&)>& visit) const override {
    std::string const below = folder.empty() ? "" : std::string(folder) + "/";
    for (uint32_t i = 0; i < files.size(); ++i) {
      if (files[i].path.starts_with(below) && files[i].size_bytes > 0)
        visit({cache::NodeId{i + 1}, files[i].path, files[i].size_bytes});
    }
  }
  std::optional<std::string> PathOf(cache::NodeId node) const override {
    if (node.value == 0 || node.value > files.size()) return std::nullopt;
    return files[node.value - 1].path;
  }
  uint64_t SampleCount() const override { return files.size(); }
  const cache::SampleOrder& order() const override { return *this; }
  std::vector<cache::OrderedSample> SamplesAfter(cache::NodeId node,
                                                 size_t count_max) const override {
    std::vector<cache::OrderedSample> after;
    for (uint32_t i = node.value; i < files.size() && after.size() < count_max; ++i)
      after.push_back({cache::NodeId{i + 1}, files[i].size_bytes});
    return after;
  }

  std::vector<File> files;  // by node - 1
  uint64_t version = 1;
};

}  // namespace stokefs::testing
