// The origin that is a packed dataset.
//
// A block is found by its sample's id: chunk file (PackedIndex), entry (the file's head), bytes. It
// is given only when the entry's tag is that of the node's version and the bytes have the entry's
// digest; so after repacking an old node gets its bytes where they did not change, else ESTALE, and
// damage is EIO. Reads run on a pool of threads, because a hung file system blocks whoever reads
// it. Blocks of one Fetch that lie close together in a file are read by one call. Thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "cache/origin_locator.h"
#include "cache/origin_source.h"
#include "cache/packed_chunks.h"
#include "cache/packed_dataset.h"

namespace stokefs::cache {

class PackedOrigin final : public OriginSource {
 public:
  struct Options {
    size_t threads = 32;
    size_t queue_count_max = 1024;
    PackedChunks::Options chunks;
    // How bytes are read from an open file; tests stand in between.
    std::function<base::Result<size_t>(int fd, std::span<iovec> pieces, uint64_t offset)> read_at =
        ReadPiecesAt;
  };
  PackedOrigin(Options options, std::shared_ptr<PackedDataset> dataset, OriginLocator& locator,
               const base::Clock& clock);
  ~PackedOrigin() override;

  void Fetch(std::vector<FetchItem> items) override;
  bool Stop(std::chrono::milliseconds limit) override;
  const OriginStatistics& Statistics() const override;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace stokefs::cache
