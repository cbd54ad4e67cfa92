// Folders of an origin that is a plain directory.
#pragma once

#include "base/file.h"
#include "cache/folder_lister.h"

namespace stokefs::cache {

class DirectoryLister final : public FolderLister {
 public:
  // `source` is SOURCE, opened as a folder. Fails when it cannot be stat'ed.
  static base::Result<std::unique_ptr<DirectoryLister>> Make(base::UniqueFd source);

  base::Result<std::unique_ptr<OpenedFolder>> Open(const std::string& path) override;

 private:
  DirectoryLister(base::UniqueFd source, uint64_t device)
      : source_(std::move(source)), device_(device) {}

  const base::UniqueFd source_;
  const uint64_t device_;  // SOURCE's st_dev
};

}  // namespace stokefs::cache
