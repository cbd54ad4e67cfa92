// Whether one path lies in another, whatever links and bind mounts their names go through.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "tools/mount_table.h"

namespace stokefs::tools {

// Where a path is, or would be: the folders from its deepest existing one up to the root by "..",
// and its place in its file system, which a bind mount of a part shows under another name.
class PathPlace {
 public:
  // Touches the path, so it may hang where the path does. `path` is absolute; it need not exist.
  static base::Result<PathPlace> Of(const std::string& path, const MountTable& mounts);

  bool Is(const PathPlace& other) const;
  // Also true where both are the same folder.
  bool IsAtOrBelow(const PathPlace& folder) const;

  // Without links, "." and ".." in the part that exists.
  const std::string& canonical() const { return canonical_; }
  bool exists() const { return missing_.empty(); }

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const Identity&) const = default;
  };

  std::string canonical_;
  std::string missing_;              // "/x/y": the part that does not exist yet
  std::vector<Identity> ancestors_;  // the deepest existing folder (or the file itself) first
  uint32_t major_ = 0;
  uint32_t minor_ = 0;
  std::string in_file_system_;  // from the root of its file system
};

}  // namespace stokefs::tools
