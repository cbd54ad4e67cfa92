// The folder that a dataset is packed into: who may, what is there already, and what is made.
//
// Owns the folder's lock. Thread-safe but for Open and Commit. All calls block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/sync.h"
#include "cache/chunk_format.h"
#include "cache/ids.h"
#include "cache/packed_manifest.h"

namespace stokefs::cache {

// Memory that O_DIRECT can be given. Not initialised; kept from use to use.
class AlignedBuffer {
 public:
  std::span<std::byte> Get(size_t bytes);  // what it held is lost
  void Trim(size_t bytes_max);             // gives memory back where it has more

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  size_t bytes_ = 0;
};

class PackOutput {
 public:
  // Makes the folder when it is not there, takes its lock, and reads the heads of the chunk files
  // in it. ENOTEMPTY: it holds something else than a dataset, packed or half packed; EBUSY: it is
  // being packed.
  static base::Result<std::unique_ptr<PackOutput>> Open(std::string path);

  const std::string& path() const { return path_; }

  // The head of a chunk file with these members, if there is one that is whole, with bytes of the
  // right digests; read through `scratch`. `planned` need not have digests.
  std::optional<ChunkHead> FindWhole(const ChunkHead& planned, AlignedBuffer& scratch)
      EXCLUDES(mu_);

  // Writes `image` (a whole chunk file, from AlignedBuffer, a multiple of 4,096 bytes), syncs it
  // and names it by `checksum`. After an error nothing is left of it.
  base::Status WriteChunk(uint64_t checksum, SampleId members, std::span<const std::byte> image)
      EXCLUDES(mu_);

  // All names made so far are on disk after it.
  base::Status SyncFolders() EXCLUDES(mu_);
  // Makes `manifest` the dataset's, then removes what it does not need.
  base::Status Commit(const PackedManifest& manifest, std::vector<uint64_t> checksums);

 private:
  struct Found {
    uint64_t checksum = 0;
    bool is_checked = false;  // written or read by us
  };

  PackOutput(std::string path, base::UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  base::Status FindChunks();
  std::string ChunkFolder(unsigned first_byte) const;
  void RemoveOthers(const PackedManifest& manifest, std::vector<uint64_t> sorted_checksums);

  const std::string path_;
  const base::UniqueFd lock_;
  base::Mutex mu_;
  std::map<SampleId, Found> chunks_ GUARDED_BY(mu_);    // by MembersOf
  std::set<unsigned> changed_folders_ GUARDED_BY(mu_);  // below "chunks", by their number
};

}  // namespace stokefs::cache
