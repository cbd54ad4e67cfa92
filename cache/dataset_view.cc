#include "cache/dataset_view.h"

#include <utility>

namespace stokefs::cache {

uint64_t CatalogView::Version() const {
  if (catalog_.Progress().state != CatalogState::kComplete) return 0;
  return catalog_.ChangeCount() + 1;
}

void CatalogView::Visit(std::string_view folder,
                        const std::function<void(const CatalogSample&)>& visit) const {
  // Fails for a folder that is not there, or not any more: it has no samples.
  (void)catalog_.VisitSamples(folder, [&](const CatalogSample& sample) {
    visit(sample);
    return true;
  });
}

std::optional<std::string> CatalogView::PathOf(NodeId node) const {
  auto file = catalog_.LocateAtOrigin(node);
  if (!file) return std::nullopt;
  return std::move(file->path);
}

}  // namespace stokefs::cache
