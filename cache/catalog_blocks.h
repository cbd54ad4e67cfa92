// The blocks of all samples that the catalog has now, for whoever keeps bytes of them.
#pragma once

#include "cache/catalog.h"
#include "cache/wanted_blocks.h"

namespace stokefs::cache {

class CatalogBlocks final : public WantedBlocks {
 public:
  // `catalog` outlives this.
  CatalogBlocks(const Catalog& catalog, uint64_t extent_bytes)
      : catalog_(catalog), extent_bytes_(extent_bytes) {}

  // Of paths, sizes and layout; 0 until the catalog is whole and was compared with the origin.
  uint64_t Version() const override;
  void Visit(const std::function<void(BlockKey)>& visit) const override;

 private:
  const Catalog& catalog_;
  const uint64_t extent_bytes_;
};

}  // namespace stokefs::cache
