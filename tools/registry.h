// Which stokefs mounts this user has: one plain file each, `<runtime>/stokefs/<id>.json`, so that
// the commands find a mount's daemon without asking the mount.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stokefs::tools {

struct RegistryEntry {
  std::string id;
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // of that process
  std::string mount_point;   // canonical
  std::string source;        // canonical
  std::string control_path;
  bool control_made = false;            // we made that folder, and remove it
  std::vector<std::string> cache_dirs;  // as given
  std::string lock_path;                // the dataset's lock in the first of them
  int64_t started_s = 0;                // since 1970
  std::optional<uint32_t> connection;   // number of the dataset mount's FUSE connection
};

// 16 hexadecimal digits of the XXH3-64 of the canonical MNT.
std::string MountId(std::string_view canonical_mount_point);

class Registry {
 public:
  // `folder`: "/run/stokefs"; made when an entry is written. Entries of other users are read from
  // `also_read`.
  explicit Registry(std::string folder, std::string also_read = "");
  // For root /run/stokefs, else $XDG_RUNTIME_DIR/stokefs, else /tmp/stokefs-<uid>/stokefs.
  static Registry OfThisUser();

  // Makes the folder; refused where somebody else owns it.
  base::Status Prepare() const;
  // The first entry of a mount: file_exists when there is one.
  base::Status Claim(const RegistryEntry& entry) const;
  base::Status Write(const RegistryEntry& entry) const;  // in place of the former
  // Entries are written whole: one that cannot be read is another release's, or no entry at all.
  void RemoveUnreadable(const std::string& id) const;
  void Remove(const std::string& id) const;
  std::optional<RegistryEntry> Read(const std::string& id) const;
  std::vector<RegistryEntry> List() const;  // of this user; by mount point; damaged files left out

  std::string ControlPath(const std::string& id) const { return folder_ + "/" + id; }
  const std::string& folder() const { return folder_; }

 private:
  std::string FileOf(const std::string& id) const { return folder_ + "/" + id + ".json"; }

  std::string folder_;
  std::string also_read_;
};

// Removes what a daemon that is gone, or was cut off, left: its control mount, the control folder
// that it made, its entry.
void CleanUp(const Registry& registry, const RegistryEntry& entry);

}  // namespace stokefs::tools
