// What the kernel says is mounted: /proc/self/mountinfo (proc_pid_mountinfo(5)).
// Reading it asks no file system anything, so it answers whatever hangs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stokefs::tools {

struct MountEntry {
  uint32_t major = 0;
  uint32_t minor = 0;       // of a FUSE mount: its connection's number in /sys/fs/fuse/connections
  std::string root;         // the part of its file system that is shown
  std::string mount_point;  // as seen by this process
  std::string type;         // "fuse.stokefs"
  std::string source;
};

// Dataset mounts are of type fuse.stokefs, their control mounts of fuse.stokefs-control.
inline constexpr std::string_view kDatasetMountType = "fuse.stokefs";
bool IsStokefs(const MountEntry& entry);  // one or the other

class MountTable {
 public:
  static base::Result<MountTable> Read();
  static MountTable Parse(std::string_view text);  // lines that it does not understand are skipped

  // The mount that a path look-up of exactly this canonical path meets: the last made.
  std::optional<MountEntry> At(std::string_view path) const;
  // The mount that holds this canonical path.
  std::optional<MountEntry> Holding(std::string_view path) const;
  const std::vector<MountEntry>& entries() const { return entries_; }

 private:
  std::vector<MountEntry> entries_;
};

// True when `path` is `folder` or below it, by name alone.
bool IsAtOrBelow(std::string_view path, std::string_view folder);

}  // namespace stokefs::tools
