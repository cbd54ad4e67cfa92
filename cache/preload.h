// After a mount: fills free memory from the local disks, in the order in which the blocks lie
// there, so that the first reads are memory's. Evicts nothing, and goes after whatever readers ask.
//
// One thread, ends when all is loaded or memory is full. For its run it takes 16 bytes a block that
// fits. Not at idle priority: it takes locks that readers need, and on busy CPUs it would hold them
// for as long as it is not let run.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/metrics.h"
#include "base/sync.h"
#include "cache/catalog.h"
#include "cache/disk_tier.h"
#include "cache/read_path.h"

namespace stokefs::cache {

class Preload {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;
    uint64_t memory_bytes = 0;  // the memory tier's budget
    size_t window_count = 512;  // blocks asked for at a time
  };
  // All outlive this.
  Preload(Options options, const Catalog& catalog, const DiskTier& disk, ReadPath& read_path);
  ~Preload();

  void Start();
  void Stop();  // does not wait for blocks under way

  uint64_t LoadedCount() const { return state_->loaded.Value(); }

 private:
  struct Block {
    uint64_t order;  // on the disks
    BlockKey key;
  };
  // Shared with answers that come after the end.
  struct State {
    base::Mutex mu;
    base::CondVar changed;
    bool stopping GUARDED_BY(mu) = false;
    bool is_full GUARDED_BY(mu) = false;
    size_t in_flight GUARDED_BY(mu) = 0;
    base::Counter loaded;
  };
  void Run();
  bool AwaitCatalog();
  std::vector<Block> Collect() const;
  bool IsStopping() const;

  const Options options_;
  const Catalog& catalog_;
  const DiskTier& disk_;
  ReadPath& read_path_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
  std::thread thread_;
};

}  // namespace stokefs::cache
