// The index of a packed dataset: every folder of it, and which chunk file has which block. One
// file, written once, read by pread. All integers little-endian.
//
//   index  := magic:"STKINDEX" version:u8 (1) zero{7} folder{} folders:table buckets:table
//             runs:table
//   folder := self:stat part_bytes:u32{parts} checksum:u64 record{parts}
//
// `table` is packed_table.h's, `stat` stat_codec.h's, `record` folder_record.h's, whose checksums
// are its own; `checksum` is the XXH3-64 of what is before it in the folder. Links are as the mount
// of the source would show them: relative where they lead into it.
//
//   table    a row's key                       count     place           bytes
//   folders  SampleId of the folder's path, 0  parts     its offset      its length
//   buckets  ChunkId's prefix, 0, 0            entries   the file's      the file's length
//   runs     SampleId, first extent            entries   name (64 bits)
//
// A sample of at most extent_bytes (of the manifest) is in the file of the last bucket that is not
// above it, whole; of a larger one, extent i is in that of its last run that does not begin after
// i.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "cache/folder_listing.h"
#include "cache/ids.h"
#include "cache/packed_manifest.h"
#include "cache/packed_table.h"

namespace stokefs::cache {

inline constexpr uint8_t kPackedIndexVersion = 1;

// One index that was packed. Thread-safe; calls block for as long as the disk pleases.
class PackedIndex {
 public:
  // `folder` is OUT. Reads what is needed to find things, not the whole; the rest is checked when
  // it is read. EBADMSG: damaged; ENOENT.
  static base::Result<std::shared_ptr<const PackedIndex>> Open(int folder,
                                                               const PackedManifest& manifest);

  const PackedManifest& manifest() const { return manifest_; }

  // ENOENT: no such folder; EBADMSG.
  base::Result<FolderListing> ReadFolder(const std::string& path) const;

  struct ChunkFile {
    uint64_t checksum = 0;  // of its head: names it
    uint32_t entry_count = 0;
    uint64_t file_bytes = 0;
  };
  enum class Kind : uint8_t { kSmall, kLarge };
  // The only chunk file that can have the block; none: this dataset has no such sample.
  base::Result<std::optional<ChunkFile>> FindChunk(SampleId sample, uint32_t extent,
                                                   Kind kind) const;

 private:
  PackedIndex(base::UniqueFd fd, const PackedManifest& manifest)
      : fd_(std::move(fd)), manifest_(manifest) {}

  const base::UniqueFd fd_;
  const PackedManifest manifest_;
  std::unique_ptr<PackedTable> folders_, buckets_, runs_;  // set by Open
};

}  // namespace stokefs::cache
