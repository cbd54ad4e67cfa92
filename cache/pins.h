// Pins: paths whose samples stay on the local disks.
//
// The list is kept in a file (path_list.h) and so survives a restart; the disk tier is told again
// after each start. A thread of its own, "pins", sees to the samples below the pins: it pins them
// in the disk tier and fetches what is missing, at the start, when a pin comes, and whenever the
// catalog has changed. Thread-safe. Lock: mu_, a leaf.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/job_signal.h"
#include "base/journal.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/catalog.h"
#include "cache/steered_disk.h"
#include "cache/warmup.h"

namespace stokefs::cache {

// How much of a pin is there.
struct PinShare {
  std::string path;
  std::optional<base::Error> error;  // the path is not (or no longer) there
  uint64_t samples = 0, bytes = 0;
  uint64_t samples_on_disk = 0, bytes_on_disk = 0;
};

class Pins {
 public:
  struct Options {
    std::string file;  // empty: not kept
    uint64_t extent_bytes = 1u << 20;
    base::Duration look_period = std::chrono::seconds(2);    // for changes of the catalog
    base::Duration retry_period = std::chrono::seconds(60);  // after fetches that failed
  };
  // All outlive this.
  Pins(Options options, const Catalog& catalog, SteeredDisk& disk, const Warmup& warmup,
       base::Journal& journal);
  ~Pins();

  // Reads the list and starts the thread. A list that is damaged is put aside, with a line in the
  // journal.
  void Start();
  void Cancel() { signal_.Cancel(); }  // the thread ends soon
  // Ends the thread; false when it is still busy after `limit`.
  bool Stop(std::chrono::milliseconds limit);

  // The list on disk is the new one when these return without an error. Unknown paths may be pinned
  // (they may come); Remove of one that is not pinned is ENOENT, and then none is removed.
  base::Status Add(const std::vector<std::string>& paths) EXCLUDES(list_mu_, mu_);
  base::Status Remove(const std::vector<std::string>& paths) EXCLUDES(list_mu_, mu_);

  std::vector<std::string> Paths() const EXCLUDES(mu_);
  bool Covers(std::string_view path) const EXCLUDES(mu_);
  // Goes over all samples below the pins. ECANCELED.
  base::Result<std::vector<PinShare>> Shares(base::JobSignal& signal) const;
  // What the thread is doing; none when all is done that can be.
  std::optional<WarmupReport> Fetching() const EXCLUDES(mu_);

 private:
  void Run();
  bool Apply(const std::vector<std::string>& paths, uint64_t changes);
  bool PinBelow(const std::vector<std::string>& paths, uint64_t changes);
  bool Pin(const std::vector<BlockKey>& keys, uint64_t changes) EXCLUDES(list_mu_, mu_);
  std::vector<BlockKey> KeysBelow(const std::string& path,
                                  const std::vector<std::string>& but) const;
  base::Status Save(std::vector<std::string> paths) REQUIRES(list_mu_) EXCLUDES(mu_);

  const Options options_;
  const Catalog& catalog_;
  SteeredDisk& disk_;
  const Warmup& warmup_;
  base::Journal& journal_;
  base::JobSignal signal_;  // of the thread

  // Held while the list, its file and what is pinned by it are changed as one; comes before mu_.
  // The only lock of ours that is held while a file is written: those who wait for it change pins
  // too.
  base::Mutex list_mu_;
  mutable base::Mutex mu_;
  base::CondVar ended_signal_;
  std::vector<std::string> paths_ GUARDED_BY(mu_);  // sorted
  uint64_t changes_ GUARDED_BY(mu_) = 0;            // of paths_
  std::optional<WarmupReport> fetching_ GUARDED_BY(mu_);
  bool ended_ GUARDED_BY(mu_) = true;
  std::thread thread_;  // of Start and Stop only
};

}  // namespace stokefs::cache
