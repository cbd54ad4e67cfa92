// Paths and samples of the catalog, for those who go over many of them at their leisure.
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "cache/catalog_impl.h"

namespace stokefs::cache {
namespace {

// Entries looked at under one hold of the table's lock: about 20 µs.
constexpr size_t kBatchCount = 256;

tl::unexpected<base::Error> Errno(int error) { return base::FailErrno(error, "catalog"); }

struct Batch {
  struct Sample {
    NodeId node;
    std::string_view name;  // names are never moved or freed
    uint64_t size_bytes = 0;
  };
  std::vector<Sample> samples;
  std::vector<NodeId> folders;
};

// Entries of `folder` behind `last` (empty: from the first). Returns the last one looked at, empty
// at the end.
std::string_view CopyBatch(const NodeTable& table, NodeId folder, std::string_view last,
                           Batch& batch) {
  if (!table.IsAttached(folder)) return {};
  auto const& children = table.Children(folder);
  size_t const first = last.empty() ? 0 : table.IndexAfter(folder, last);
  size_t const end = std::min(children.size(), first + kBatchCount);
  for (size_t i = first; i < end; ++i) {
    NodeId const child{children[i]};
    if (table.IsFolder(child)) {
      batch.folders.push_back(child);
    } else if (table.Type(child) == FileType::kRegular) {
      batch.samples.push_back({child, table.Name(child), table.Version(child).size_bytes});
    }
  }
  return end == children.size() ? std::string_view() : table.Name(NodeId{children[end - 1]});
}

}  // namespace

base::Result<NodeId> Catalog::FindPath(std::string_view path) const {
  base::ReaderLock lock(impl_->table_mu());
  NodeTable const& table = impl_->table();
  NodeId at = kRootNode;
  while (!path.empty()) {
    size_t const slash = std::min(path.find('/'), path.size());
    if (!table.IsFolder(at)) return Errno(ENOTDIR);
    if (!table.IsListed(at)) return Errno(EAGAIN);
    at = table.Find(at, path.substr(0, slash));
    if (at == kNoNode) return Errno(ENOENT);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return at;
}

base::Status Catalog::VisitSamples(std::string_view path,
                                   const std::function<bool(const CatalogSample&)>& visit) const {
  auto const found = FindPath(path);
  if (!found) return tl::unexpected<base::Error>(found.error());
  auto const attributes = Attributes(*found);
  if (!attributes) return tl::unexpected<base::Error>(attributes.error());
  if (attributes->type == FileType::kRegular) {
    visit({.node = *found, .path = path, .size_bytes = attributes->size_bytes});
    return {};
  }
  if (attributes->type != FileType::kFolder) return {};
  std::vector<NodeId> left{*found};
  while (!left.empty()) {
    NodeId const folder = left.back();
    left.pop_back();
    std::string sample_path;
    std::string_view last;
    do {
      Batch batch;
      {
        base::ReaderLock lock(impl_->table_mu());
        sample_path = impl_->table().Path(folder);
        last = CopyBatch(impl_->table(), folder, last, batch);
      }
      if (!sample_path.empty()) sample_path += '/';
      size_t const folder_bytes = sample_path.size();
      for (auto const& sample : batch.samples) {
        sample_path.resize(folder_bytes);
        sample_path += sample.name;
        if (!visit({.node = sample.node, .path = sample_path, .size_bytes = sample.size_bytes})) {
          return {};
        }
      }
      left.insert(left.end(), batch.folders.begin(), batch.folders.end());
    } while (!last.empty());
  }
  return {};
}

}  // namespace stokefs::cache
