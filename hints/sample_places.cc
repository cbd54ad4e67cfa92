#include "hints/sample_places.h"

#include <cerrno>
#include <utility>

#include "hints/folder_order.h"

namespace stokefs::hints {

base::Result<SamplePlace> FindSample(const cache::Catalog& catalog, std::string_view path) {
  auto const node = catalog.FindPath(path);
  if (!node) return tl::unexpected<base::Error>(node.error());
  auto const attributes = catalog.Attributes(*node);
  if (!attributes) return tl::unexpected<base::Error>(attributes.error());
  // "a/" is found as "a" is, and would be another id.
  if (attributes->type != cache::FileType::kRegular || path.ends_with('/')) {
    return base::Fail(std::errc::is_a_directory, "not a file");
  }
  return SamplePlace{cache::MakeSampleId(path), *node};
}

cache::NodeId UnlistedFolder(const cache::Catalog& catalog, std::string_view path) {
  // EAGAIN tells of some folder on the way; the longest way that is known leads to it.
  size_t end = path.size();
  while (true) {
    auto const node = catalog.FindPath(path.substr(0, end));
    if (node) return end == path.size() ? cache::kNoNode : *node;
    if (node.error().code != std::errc::resource_unavailable_try_again || end == 0) {
      return cache::kNoNode;
    }
    size_t const slash = path.substr(0, end).rfind('/');
    end = slash == path.npos ? 0 : slash;
  }
}

base::Result<IndexOrder> IndexOrder::Make(const cache::Catalog& catalog, std::string root) {
  IndexOrder order;
  order.root_ = std::move(root);
  order.change_count_ = catalog.ChangeCount();
  std::vector<std::string> paths;
  std::vector<cache::NodeId> nodes;
  auto const visited = catalog.VisitSamples(order.root_, [&](const cache::CatalogSample& sample) {
    if (!HasImageExtension(sample.path)) return true;
    paths.emplace_back(sample.path);
    nodes.push_back(sample.node);
    return true;
  });
  if (!visited) return tl::unexpected<base::Error>(visited.error());
  std::vector<uint32_t> const places = FolderOrder(paths, order.root_, FolderRule::kImageFolder);
  order.ids_.reserve(places.size());
  order.nodes_.reserve(places.size());
  for (uint32_t const place : places) {
    order.ids_.push_back(cache::MakeSampleId(paths[place]));
    order.nodes_.push_back(nodes[place]);
  }
  return order;
}

}  // namespace stokefs::hints
