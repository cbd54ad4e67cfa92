// Folders of an origin that is a packed dataset: as they were when it was packed.
#pragma once

#include <memory>
#include <string>

#include "cache/folder_lister.h"
#include "cache/packed_dataset.h"

namespace stokefs::cache {

class PackedLister final : public FolderLister {
 public:
  explicit PackedLister(std::shared_ptr<PackedDataset> dataset) : dataset_(std::move(dataset)) {}

  // Of the newest edition. EIO: the index is damaged.
  base::Result<std::unique_ptr<OpenedFolder>> Open(const std::string& path) override;

 private:
  const std::shared_ptr<PackedDataset> dataset_;
};

}  // namespace stokefs::cache
