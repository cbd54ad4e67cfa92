// The disk as the kernel gives it.
//
// New files are readable by their owner only, because they hold what the origin may show to few.
// Blocks are allocated before the first byte is written, where the file system can do that, so that
// a full disk says so at once. Errors bear the errno of the call that failed.
#pragma once

#include "base/storage.h"

namespace stokefs::base {

class RealStorage final : public Storage {
 public:
  Status MakeFolders(const std::string& path) override;
  Result<std::vector<StoredFile>> ListFiles(const std::string& folder) override;
  Result<std::vector<std::string>> ListFolders(const std::string& folder) override;
  Result<StoredFile> WriteNew(const std::string& path, std::span<const std::byte> bytes) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status SyncFolder(const std::string& folder) override;
  Status Remove(const std::string& path) override;
  Result<UniqueFd> OpenToRead(const std::string& path, int flags) override;
  Result<StorageSpace> Space(const std::string& folder) override;
  Status TryDirectReads(const std::string& folder) override;
};

}  // namespace stokefs::base
