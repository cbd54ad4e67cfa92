// Everything a mount serves with, composed: catalog, tiers, read path, mounts, background work.
// Built bottom-up, ended top-down; what it holds is listed in the order of construction.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/journal.h"
#include "base/processes.h"
#include "base/real_storage.h"
#include "base/running_clock.h"
#include "cache/catalog.h"
#include "cache/catalog_blocks.h"
#include "cache/dataset_view.h"
#include "cache/disk_tier.h"
#include "cache/epoch_engine.h"
#include "cache/epoch_replacement.h"
#include "cache/memory_tier.h"
#include "cache/origin_source.h"
#include "cache/preload.h"
#include "cache/read_ahead.h"
#include "cache/read_event.h"
#include "cache/read_path.h"
#include "fs/control_mount.h"
#include "fs/dataset_mount.h"
#include "fs/notify_kernel_cache.h"
#include "fs/page_dropper.h"
#include "fs/statistics.h"
#include "hints/hint_book.h"
#include "tools/daemon.h"
#include "tools/steering.h"

namespace stokefs::tools {

class ServingStack {
 public:
  ServingStack(DaemonInputs inputs, base::Journal& journal);
  ~ServingStack();

  // Forks the catalog's reader, so it must run before the process has other threads. After an error
  // End() takes down what stood already.
  base::Status Build();

  // Starts to serve. `on_end`: the kernel ended the dataset mount. `on_control_lost`: somebody
  // unmounted the control mount. Both are called on threads of this stack.
  void Serve(std::function<void()> on_end, std::function<void()> on_control_lost);

  // Puts the control mount back.
  base::Status RemountControl();

  // Answers what waits, unmounts, ends the threads. False when a thread is stuck in the origin: the
  // stack must not be destroyed then, and the process must end by _exit.
  bool End();

 private:
  base::Status MountControl();
  void MakeDiskTier();
  fs::Snapshot TakeSnapshot() const;
  void MakeEpochEngine();
  void AddDisk(fs::Snapshot& snapshot) const;
  void AddJobs(fs::Snapshot& snapshot) const;
  bool DropWanted() const;

  const DaemonInputs inputs_;
  base::Journal& journal_;
  const base::SteadyClock steady_clock_;
  base::RunningClock clock_;  // of deadlines
  const base::TimePoint started_;
  const uint64_t page_cache_room_bytes_;  // what the kernel can cache at the very most
  std::function<void()> on_control_lost_;

  std::unique_ptr<cache::Catalog> catalog_;
  cache::EpochReplacement policy_;
  std::unique_ptr<cache::MemoryTier> memory_;
  std::unique_ptr<cache::OriginSource> origin_;
  base::RealStorage storage_;
  std::unique_ptr<cache::CatalogBlocks> catalog_blocks_;
  std::unique_ptr<cache::DiskTier> disk_;  // null: no disk tier
  fs::ReadsInFlight reads_in_flight_;
  fs::NotifyKernelCache kernel_;
  fs::ChangeForwarder changes_{kernel_};
  fs::PageDropper dropper_;
  std::unique_ptr<cache::ReadEventQueue> dropper_events_;
  std::unique_ptr<cache::ReadAhead> read_ahead_;
  std::unique_ptr<cache::ReadEventQueue> read_ahead_events_;
  base::RealProcesses processes_;
  std::unique_ptr<cache::CatalogView> catalog_view_;
  std::unique_ptr<cache::EpochEngine> epochs_;
  std::unique_ptr<cache::ReadEventQueue> epoch_events_;
  std::unique_ptr<cache::ReadPath> read_path_;
  std::unique_ptr<Steering> steering_;
  std::unique_ptr<hints::HintBook> hints_;
  std::unique_ptr<cache::Preload> preload_;  // null: no disk tier
  std::unique_ptr<fs::DatasetMount> dataset_;
  std::unique_ptr<fs::ControlMount> control_;
  std::unique_ptr<base::Ticker> ticker_;
};

}  // namespace stokefs::tools
