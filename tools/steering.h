// What steers a mount's cache while it serves: the commands of fsctl, the warm-up in the
// background, the pins. Composed here, so that ServingStack has one thing to build and to end.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/journal.h"
#include "cache/path_fetcher.h"
#include "cache/pins.h"
#include "cache/steered_disk.h"
#include "cache/warmup.h"
#include "fs/control_conversation.h"
#include "tools/background_warmup.h"
#include "tools/cache_commands.h"
#include "tools/command_runner.h"

namespace stokefs::tools {

class Steering {
 public:
  struct Parts {
    std::string source;          // SOURCE's path
    std::string dataset_folder;  // where `pins` and `warmup` are kept; empty: they are not
    cache::LocateOptions layout;
    cache::Catalog& catalog;
    cache::MemoryTier& memory;
    cache::DiskTier* disk = nullptr;  // null: there is none
    cache::ReadPath& read_path;
    cache::KernelCache& kernel;
    base::Journal& journal;
  };
  // All parts outlive this.
  explicit Steering(const Parts& parts);

  // Tells the disk tier the pins and goes on with a warm-up that was cut off, once the catalog is
  // whole.
  void Start();
  // A handle of the control file `command`; not after this.
  std::unique_ptr<fs::ControlConversation> Converse();

  cache::Pins* pins() { return pins_.get(); }  // null: no disk

  // What runs ends soon; a warm-up in the background goes on at the next mount. Does not wait.
  void Cancel();
  // False when a thread is still busy after `limit`.
  bool Stop(std::chrono::milliseconds limit);

 private:
  base::Journal& journal_;
  std::optional<cache::DiskTierSteering> disk_;
  cache::PathFetcher fetcher_;
  cache::Warmup warmup_;
  std::unique_ptr<cache::Pins> pins_;  // null: no disk
  BackgroundWarmup background_;
  CommandRunner runner_;
};

}  // namespace stokefs::tools
