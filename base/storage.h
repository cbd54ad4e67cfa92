// Files that are written whole and then only read: the disk behind an interface, so that a test can
// own it (fill it, break it, or lose at a crash what was not synced). Thread-safe. All calls block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace stokefs::base {

struct StoredFile {
  std::string name;
  uint64_t size_bytes = 0;
  uint64_t allocated_bytes = 0;  // st_blocks
};

struct StorageSpace {
  uint64_t free_bytes = 0;  // for unprivileged users
  uint64_t total_bytes = 0;
};

class Storage {
 public:
  virtual ~Storage() = default;
  virtual Status MakeFolders(const std::string& path) = 0;
  // Regular files and folders, by name.
  virtual Result<std::vector<StoredFile>> ListFiles(const std::string& folder) = 0;
  virtual Result<std::vector<std::string>> ListFolders(const std::string& folder) = 0;
  // Makes `path` (EEXIST), writes `bytes`, syncs. After an error the file may be there by half.
  // Bytes that begin and end at multiples of 4 KiB go past the page cache where that works.
  virtual Result<StoredFile> WriteNew(const std::string& path,
                                      std::span<const std::byte> bytes) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;  // EEXIST: `to` is
  virtual Status SyncFolder(const std::string& folder) = 0;  // names made and renamed in it
  virtual Status Remove(const std::string& path) = 0;
  // `flags` beside O_RDONLY | O_CLOEXEC | O_NOFOLLOW, such as O_DIRECT.
  virtual Result<UniqueFd> OpenToRead(const std::string& path, int flags) = 0;
  virtual Result<StorageSpace> Space(const std::string& folder) = 0;
  // Whether files made in `folder` can be read with O_DIRECT by multiples of 4 KiB; else why not.
  virtual Status TryDirectReads(const std::string& folder) = 0;
};

}  // namespace stokefs::base
