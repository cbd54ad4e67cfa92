// A packed dataset: a folder that holds a whole dataset, names and bytes, in few large files.
//
//   OUT/manifest                   what it is; written last, atomically: without it, it is none
//   OUT/<32 hex>.index             all folders, and which chunk file has what (packed_index.h);
//                                  named by the 128-bit XXH3 of its bytes
//   OUT/chunks/<2 hex>/<16 hex>.chunk   blocks (chunk_format.h); named by its head's checksum
//   OUT/lock                       held by flock(2) while it is being packed
//
// All but the lock are written under another name and renamed, and never modified. A name tells the
// content (of a chunk file: the digests of it), so what an index names is there as it was when it
// was packed, or not at all: repacking into the same folder puts new files beside the old ones,
// renames the manifest, and only then removes what no manifest needs any more.
//
//   manifest := magic:"STKPACKD" version:u8 (1) zero{7} digest_high:u64 digest_low:u64
//               index_bytes:u64 chunk_bytes:u64 chunk_samples:u32 zero:u32 extent_bytes:u64
//               samples:u64 bytes:u64 files:u64 table{3} checksum:u64
//   table    := offset:u64 rows:u64          folders, buckets, runs: in the index
//
// All integers little-endian; `digest` is the index's; `checksum` the XXH3-64 of all before it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/chunk_layout.h"
#include "cache/packed_table.h"

namespace stokefs::cache {

inline constexpr uint8_t kPackedVersion = 1;
inline constexpr const char* kManifestName = "manifest";
inline constexpr const char* kChunksName = "chunks";

struct PackedManifest {
  uint64_t digest_high = 0, digest_low = 0;
  uint64_t index_bytes = 0;
  ChunkLayoutOptions layout;
  uint64_t extent_bytes = 0;
  uint64_t samples = 0;
  uint64_t bytes = 0;  // of all samples
  uint64_t files = 0;  // chunk files
  PackedTablePlace folders, buckets, runs;

  bool operator==(const PackedManifest& other) const;
  std::string Digest() const;     // 32 hex digits
  std::string IndexName() const;  // below OUT
};

std::string EncodePackedManifest(const PackedManifest& manifest);
// EBADMSG: damaged, or no manifest at all; EPROTONOSUPPORT: of another version.
base::Result<PackedManifest> ParsePackedManifest(std::string_view bytes);

// "chunks/ab/abcdef0123456789.chunk", and the folder of it.
std::string PackedChunkName(uint64_t checksum);
std::string PackedChunkFolder(uint64_t checksum);

}  // namespace stokefs::cache
