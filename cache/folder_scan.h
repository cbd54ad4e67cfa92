// Lists folders of the origin on a pool of threads of its own: what is asked for first, then what a
// background source offers. The stats of a big folder are shared out among the threads, because on
// an origin that takes 2 ms for each, 100,000 in a row take minutes.
//
// Knows nothing of nodes or of who waits. Thread-safe. Lock: mu_, a leaf; nothing is called under
// it. Bounds: `queue_count_max` folders asked for; one background folder for each thread.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/folder_lister.h"

namespace stokefs::cache {

// `listing` is sorted; entries that vanished meanwhile are not in it, nor those whose stat
// `failed`. `errors` counts these and names that cannot be shown; `error` tells the first.
struct ScannedFolder {
  FolderListing listing;
  std::vector<std::string> failed;
  uint64_t errors = 0;
  std::string error;
};

struct ScanRequest {
  std::string path;
  std::function<void(base::Result<ScannedFolder>)> done;  // on a thread of the pool
};

// The same on the calling thread. `stopping` is looked at between entries (ECANCELED).
base::Result<ScannedFolder> ScanFolder(FolderLister& lister, const std::string& path,
                                       const std::atomic<bool>& stopping);

class FolderScan {
 public:
  struct Options {
    size_t threads = 8;
    size_t queue_count_max = 1024;
  };
  // Both are called by any thread of the pool, holding nothing.
  struct BackgroundSource {
    // The next folder to list when there is nothing else to do; nullopt: none until the next Kick.
    std::function<std::optional<ScanRequest>()> next;
    std::function<void()> on_done;  // IsBackgroundDone became true
  };
  FolderScan(Options options, FolderLister& lister, BackgroundSource background);
  ~FolderScan();

  // False when the queue is full or the scan ends; `done` is then never called.
  bool Submit(ScanRequest request) EXCLUDES(mu_);
  // There may be background work (again).
  void Kick() EXCLUDES(mu_);
  // No background folder is being listed, and the source had none since the last Kick.
  bool IsBackgroundDone() const EXCLUDES(mu_);
  // Rises while the origin answers anything at all: names read, batches of stats, folders.
  uint64_t StepCount() const { return steps_.load(std::memory_order_relaxed); }
  // Requests not yet answered never will be. False when a thread is stuck in the origin.
  bool Stop(std::chrono::milliseconds limit);

 private:
  enum class Priority : size_t { kDemand, kBackground };
  struct Job;
  struct Unit {
    std::shared_ptr<Job> job;  // null: ask the background source
    size_t first = 0;          // entries [first, first + count) to stat; count 0: open and read
    size_t count = 0;
    uint64_t kick = 0;
  };

  void Run();
  std::optional<Unit> Take() REQUIRES(mu_);
  void Wake(size_t count) REQUIRES(mu_);
  void AskBackground(uint64_t kick);
  void EndBackground(uint64_t exhausted_at_kick) EXCLUDES(mu_);
  void OpenAndRead(const std::shared_ptr<Job>& job);
  void StatEntries(const std::shared_ptr<Job>& job, size_t first, size_t count);
  void Finish(const std::shared_ptr<Job>& job, base::Result<ScannedFolder> result);

  const Options options_;
  FolderLister& lister_;
  const BackgroundSource background_;
  std::atomic<bool> stopping_{false};  // atomic: looked at between entries, without the lock
  std::atomic<uint64_t> steps_{0};     // atomic: counted for each name that is read

  mutable base::Mutex mu_;
  size_t active_threads_ GUARDED_BY(mu_) = 0;
  std::deque<std::shared_ptr<Job>> to_open_ GUARDED_BY(mu_);  // on demand only
  std::array<std::deque<std::shared_ptr<Job>>, 2> to_stat_ GUARDED_BY(mu_);
  size_t background_jobs_ GUARDED_BY(mu_) = 0;
  uint64_t kick_count_ GUARDED_BY(mu_) = 0;
  uint64_t exhausted_at_kick_ GUARDED_BY(mu_) = 0;

  base::ThreadPool pool_;  // last: its threads use the above
};

}  // namespace stokefs::cache
