// The origin that is a plain directory (local disk, NFS, any mounted file system).
//
// Reads run on a pool of threads, because a hung file system blocks whoever reads it. Every fetch
// opens the file below SOURCE without following links (open_beneath.h), compares the version before
// and after reading, and answers ESTALE (and tells the catalog) on any difference, so that a block
// is never a mix of two versions. Nothing is written: not even access times, where the owner's
// rights allow that (O_NOATIME). Demand goes before background, which leaves a quarter of the
// threads (at least one, of two or more) to it. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "base/clock.h"
#include "base/file.h"
#include "base/metrics.h"
#include "cache/chunk_source.h"
#include "cache/origin_locator.h"

namespace stokefs::cache {

struct OriginStatistics {
  base::Counter reads;  // blocks fetched
  base::Counter bytes;
  base::Counter errors;  // fetches that ended in an error, ETIMEDOUT and ESTALE included
  base::Counter stale;
  base::LatencyHistogram latency;
};

class OriginDirectory final : public ChunkSource {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;
    size_t threads = 32;
    size_t queue_count_max = 1024;  // of each priority
    // How bytes are read from an open file; tests stand in between.
    std::function<base::Result<size_t>(int fd, std::span<std::byte> into, uint64_t offset)>
        read_at = base::ReadAt;
  };
  OriginDirectory(Options options, base::UniqueFd source, OriginLocator& locator,
                  const base::Clock& clock);
  ~OriginDirectory() override;

  Tier tier() const override { return Tier::kOrigin; }
  void Fetch(std::vector<FetchItem> items) override;

  // Answers what is queued ECANCELED and waits up to `limit` for what runs. False when a thread is
  // stuck: then the process must end by `_exit`, and this object must not be destroyed before.
  bool Stop(std::chrono::milliseconds limit);

  const OriginStatistics& Statistics() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

// How long a version must rest before its times tell it from the next one. 0 for all but files that
// were changed just now. Pure; `wall_clock_ns` since 1970.
base::Duration UntilSettled(const FileVersion& version, int64_t wall_clock_ns);

}  // namespace stokefs::cache
