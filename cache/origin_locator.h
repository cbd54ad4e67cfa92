// What the origin must know of nodes (the catalog answers; a fake in tests).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cache/ids.h"

namespace stokefs::cache {

// What identifies one version of a file at the origin.
struct FileVersion {
  uint64_t size_bytes = 0;
  uint64_t inode = 0;  // the origin's own st_ino
  int64_t mtime_ns = 0, ctime_ns = 0;

  bool operator==(const FileVersion&) const = default;
};

// Where a node's bytes are at the origin.
struct OriginFile {
  std::string path;  // below SOURCE, no leading '/'; may be longer than PATH_MAX
  FileVersion version;
};

class OriginLocator {
 public:
  virtual ~OriginLocator() = default;
  // ENOENT for an unknown node, EINVAL for one that is no regular file.
  virtual base::Result<OriginFile> LocateAtOrigin(NodeId node) const = 0;
  // A fetch found that `node`'s version is no longer what the origin has. Does not block.
  virtual void OnStale(NodeId node) = 0;
};

}  // namespace stokefs::cache
