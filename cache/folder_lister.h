// How the catalog sees folders of the origin: the real one (directory_lister.h), and in tests one
// that counts, fails or hangs. Any call may block for as long as the origin pleases.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/file_attributes.h"
#include "cache/folder_listing.h"

namespace stokefs::cache {

struct StatAnswer {
  OriginStat stat;
  std::string target;  // of a link, as the origin has it
};

class OpenedFolder {
 public:
  virtual ~OpenedFolder() = default;
  virtual base::Result<OriginStat> Self() = 0;
  // Calls `add` for each name but "." and "..", in any order; names may be of any length.
  virtual base::Status ReadNames(const std::function<void(std::string_view)>& add) = 0;
  // Of the entry itself, never of what it links to. Thread-safe.
  virtual base::Result<StatAnswer> Stat(std::string_view name) const = 0;
};

// Thread-safe.
class FolderLister {
 public:
  virtual ~FolderLister() = default;
  // `path` below SOURCE, no leading '/', of any length; empty: SOURCE. ENOENT, ENOTDIR, EACCES, ...
  virtual base::Result<std::unique_ptr<OpenedFolder>> Open(const std::string& path) = 0;
};

}  // namespace stokefs::cache
