// A warm-up: fetches samples before anybody reads them.
//
// They come in the order of the chunk layout (by SampleId), so that the disk tier can write them as
// whole chunks. What is there is skipped: that is how one that was cut off goes on. One that fails
// does not stop the others. Blocks its thread; several may run at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/job_signal.h"
#include "base/result.h"
#include "cache/block_fetcher.h"
#include "cache/catalog.h"
#include "cache/warmup_place.h"

namespace stokefs::cache {

enum class WarmupPhase : uint8_t { kWaiting, kLooking, kFetching, kFlushing, kEnded };

struct WarmupReport {
  WarmupPhase phase = WarmupPhase::kWaiting;
  uint64_t samples = 0, bytes = 0;                  // all that was asked for
  uint64_t samples_there = 0, bytes_there = 0;      // of these: were there at the start
  uint64_t samples_fetched = 0, bytes_fetched = 0;  // came; of a large one, its missing extents
  uint64_t samples_failed = 0;
  std::vector<std::string> failures;  // the first few: path and reason
  bool is_full = false;               // it stopped, because the place has no room left
  uint64_t samples_lost = 0;          // at the end: fetched, and yet not kept
};

class Warmup {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;
    // In flight at a time: enough for an origin that needs 2 ms a file and serves 200 MB/s, in a
    // memory that may be as small as 64 MiB.
    uint64_t window_bytes = 16u << 20;
    size_t window_count = 64;
  };
  using Watcher = std::function<void(const WarmupReport&)>;

  // All outlive this and every fetch that it began.
  Warmup(Options options, const Catalog& catalog, BlockFetcher& fetcher)
      : options_(options), catalog_(catalog), fetcher_(fetcher) {}

  // Waits for the first scan, then fetches what is missing at or below `paths`. `watch` is called
  // on this thread, several times a second. Errors: ENOENT, ENOTDIR for a path that is not there;
  // ECANCELED, at once, while what is under way comes in yet.
  base::Result<WarmupReport> Run(const std::vector<std::string>& paths, WarmupPlace& place,
                                 base::JobSignal& signal, const Watcher& watch) const;

 private:
  struct Wanted {
    SampleId id;
    NodeId node;
    uint64_t size_bytes = 0;
  };
  struct Flights;
  class Asking;

  base::Status Look(const std::vector<std::string>& paths, const WarmupPlace& place,
                    base::JobSignal& signal, WarmupReport& report,
                    std::vector<Wanted>& wanted) const;
  const Options options_;
  const Catalog& catalog_;
  BlockFetcher& fetcher_;
};

// Waits until the catalog's first scan is whole. ECANCELED.
base::Status AwaitWholeCatalog(const Catalog& catalog, base::JobSignal& signal,
                               const std::function<void()>& tell);

}  // namespace stokefs::cache
