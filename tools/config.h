// What a mount was asked to be: the TOML file's keys and the command line's flags, checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/page_cache_mode.h"

namespace stokefs::tools {

// Each field is the flag and the TOML key of the same name with '-' for '_'.
struct MountConfig {
  std::string source;                  // its path absolute (source_name.h)
  std::string mount_point;             // absolute, links resolved
  std::vector<std::string> cache_dir;  // absolute; at least one
  uint64_t memory = 4ull << 30;        // bytes; at most half of the machine's
  uint64_t disk = 100ull << 30;        // bytes over all cache directories; 0: no disk tier
  cache::PageCacheMode page_cache = cache::PageCacheMode::kAuto;
  std::string control_dir;  // absolute; where the control mount goes; empty: the default place
  std::string log;          // absolute log file; empty: `log` in the dataset's cache folder
  std::vector<std::string> option;  // of -o, split at ','; checked: only FUSE's that are allowed
  bool foreground = false;

  uint64_t chunk_bytes = 4u << 20;
  uint32_t chunk_samples = 1024;
  uint64_t large_file_bytes = 1u << 20;  // larger files are read in extents of this size
  uint32_t origin_threads = 32;
  uint32_t origin_queue = 1024;                               // fetches waiting for a thread
  base::Duration origin_deadline = std::chrono::seconds(30);  // of one read or listing
  uint32_t parked_reads = 768;  // READs waiting for bytes; more are refused
  uint32_t scan_threads = 16;
};

// What the configuration needs to know of its surroundings.
struct Surroundings {
  std::string working_folder;  // relative paths of flags start here
  std::string home;
  std::string xdg_cache_home;  // empty: $HOME/.cache
  bool is_root = false;
  uint64_t memory_bytes = 0;  // of the machine

  static Surroundings Read();
};

struct Flag {
  std::string name;   // as typed, without "--"; '-' and '_' alike
  std::string value;  // one that may be given again comes again
};

// Defaults, then the TOML file (empty: none; its relative paths start at its own folder), then the
// flags, each in place of the former. The error is one line that names the flag, or the file, line
// and key.
base::Result<MountConfig> ReadMountConfig(const std::string& toml_file,
                                          const std::vector<Flag>& flags,
                                          const Surroundings& surroundings);

// By name alone: "/a/./b//c" is "/a/b/c"; ".." stays, for what it means depends on links. Empty
// stays empty.
std::string MakeAbsolute(const std::string& path, const std::string& folder);

}  // namespace stokefs::tools
