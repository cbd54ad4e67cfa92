// The origin that is a plain directory (local disk, NFS, any mounted file system).
//
// Reads run on a pool of threads, because a hung file system blocks whoever reads it. Every fetch
// opens the file below SOURCE without following links (open_beneath.h), compares the version before
// and after reading, and answers ESTALE (and tells the catalog) on any difference, so that a block
// is never a mix of two versions. Nothing is written: not even access times, where the owner's
// rights allow that (O_NOATIME). Demand goes before background, which leaves a quarter of the
// threads (at least one, of two or more) to it. Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "cache/origin_file.h"
#include "cache/origin_locator.h"
#include "cache/origin_source.h"

namespace stokefs::cache {

class OriginDirectory final : public OriginSource {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;
    size_t threads = 32;
    size_t queue_count_max = 1024;  // of each priority
    ReadAtCall read_at = base::ReadAt;
  };
  OriginDirectory(Options options, base::UniqueFd source, OriginLocator& locator,
                  const base::Clock& clock);
  ~OriginDirectory() override;

  void Fetch(std::vector<FetchItem> items) override;

  bool Stop(std::chrono::milliseconds limit) override;
  const OriginStatistics& Statistics() const override;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace stokefs::cache
