// The commands that steer what a mount keeps, as verbs of the control file `command`: requests and
// answers in JSON in front of the logic in cache/.
//
//   refresh                                    {added, changed, removed, errors, error, digest,
//                                               samples, bytes}
//   verify                                     {disk, memory, catalog, damaged}
//   locate   "path"                            {path, sample, size, chunk, blocks, origin}
//   warmup   "paths", "background"             {samples, bytes, ..., full}: all when without paths
//   warmup-status, warmup-stop                 the one in the background
//   evict    "paths" | "all": true, "pinned"   {samples, disk_blocks, ...}
//   pin, unpin "paths"; pins                   {pins: [{path, samples, ...}]}
//
// Paths are as tools/command_paths.h has them.
#pragma once

#include <map>
#include <string>

#include "base/journal.h"
#include "cache/catalog.h"
#include "cache/evict.h"
#include "cache/locate.h"
#include "cache/pins.h"
#include "cache/warmup.h"
#include "tools/background_warmup.h"
#include "tools/command_runner.h"

namespace stokefs::tools {

// What the commands work on; all outlives them.
struct SteeredParts {
  std::string source;  // SOURCE's path, for people
  cache::LocateOptions layout;
  cache::Catalog& catalog;
  cache::MemoryTier& memory;
  cache::SteeredDisk* disk = nullptr;  // null: there is none (--disk 0)
  cache::Pins* pins = nullptr;         // null when there is no disk
  cache::KernelCache& kernel;
  const cache::Warmup& warmup;
  BackgroundWarmup& background;
};

std::map<std::string, CommandParser> CacheCommands(const SteeredParts& parts);

}  // namespace stokefs::tools
