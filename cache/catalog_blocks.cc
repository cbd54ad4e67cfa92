#include "cache/catalog_blocks.h"

#include <span>

#include "cache/digest.h"
#include "cache/sample_blocks.h"

namespace stokefs::cache {

uint64_t CatalogBlocks::Version() const {
  CatalogProgress const progress = catalog_.Progress();
  bool const is_settled = progress.state == CatalogState::kComplete && !progress.rescanning;
  // What the origin would not tell of may be there all the same.
  if (!is_settled || progress.scan_errors > 0) return 0;
  auto const summary = catalog_.Summary();
  return summary ? DigestOf(std::as_bytes(std::span(summary->digest))) | 1 : 0;
}

void CatalogBlocks::Visit(const std::function<void(BlockKey)>& visit) const {
  // Only fails for a path that is not there; the root is.
  (void)catalog_.VisitSamples("", [&](const CatalogSample& sample) {
    SampleBlocks const blocks{sample.node, sample.size_bytes, extent_bytes_};
    for (uint32_t i = 0; i < blocks.Count(); ++i) visit(blocks.Key(i));
    return true;
  });
}

}  // namespace stokefs::cache
