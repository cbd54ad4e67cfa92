// A chunk file: N blocks of one bucket of the hash, packed into one unit of I/O. All integers are
// little-endian.
//
//   file    := head padding payload
//   head    := magic:"STKCHUNK" version:u8 (1) bit_count:u8 zero:u16 count:u32 prefix:u64
//              dataset:u64 layout:u64 members_digest:u64 file_bytes:u64 entry{count} checksum:u64
//   entry   := sample_high:u64 sample_low:u64 extent:u32 size:u32 offset:u64 digest:u64 tag:u64
//              mtime_ns:i64
//   payload := bytes{size} of each entry at its offset, the space between them zero
//
// `checksum` is the XXH3-64 of all of the head before it; `digest` that of the block's bytes;
// `members_digest` that of the entries' (sample_high, sample_low, extent, size, mtime_ns), 8 bytes
// each. `dataset` says whose samples they are, `layout` how it was cut (LayoutTag). Entries rise by
// (sample, extent) without duplicates, and all their samples are in the bucket (prefix, bit_count).
// There is one at least. The payload starts at a multiple of 4,096; blocks of at least 64 KiB do
// too, so that they can be read directly into a device, smaller ones at multiples of 8. Blocks lie
// in the order of their entries, each at the first such place; `file_bytes` is the end of the last
// one, rounded up to a multiple of 4,096. So a head has one right form, and is read strictly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/chunk_layout.h"
#include "cache/ids.h"
#include "cache/origin_locator.h"

namespace stokefs::cache {

inline constexpr uint8_t kChunkFormatVersion = 1;
inline constexpr uint64_t kChunkAlignment = 4096;
inline constexpr uint64_t kAlignedBlockBytesMin = 64u << 10;
inline constexpr uint32_t kChunkEntryCountMax = 65536;

struct ChunkEntry {
  SampleId sample;
  uint32_t extent = 0;      // BlockKey::index
  uint32_t size_bytes = 0;  // of the block; never 0
  uint64_t offset = 0;      // in the file
  uint64_t digest = 0;      // DigestOf the bytes
  uint64_t tag = 0;         // TagOf the version that the bytes are of
  int64_t mtime_ns = 0;     // that version's
};

struct ChunkHead {
  ChunkId id;
  uint64_t dataset = 0;
  uint64_t layout = 0;
  uint64_t file_bytes = 0;
  std::vector<ChunkEntry> entries;  // risen by (sample, extent)
};

// 64 bits of what a block is and of which version of its file. Together with the bits that found
// it, never another block's.
uint64_t TagOf(SampleId sample, uint32_t extent, const FileVersion& version);

// 64 bits of the options that decide which blocks there are.
uint64_t LayoutTag(ChunkLayoutOptions options, uint64_t extent_bytes);

// The longest prefix that all have (at most 64 bits). `samples` risen, not empty.
ChunkId CommonPrefix(SampleId first, SampleId last);

// Sorts the entries (1 to kChunkEntryCountMax of them), gives each its offset and sets file_bytes.
// EEXIST for duplicates.
base::Status PlacePayload(ChunkHead& head);

// The head's bytes, from `magic` to `checksum`: the file's first HeadBytes(count) bytes. A head
// that is not as above (PlacePayload was called after the last change of its entries) is a bug.
std::string EncodeChunkHead(const ChunkHead& head);
uint64_t HeadBytes(uint32_t count);

// How many bytes the head has (at most 3.5 MiB, whatever was damaged), from the file's first 4,096
// (or fewer, if it is shorter). EBADMSG.
base::Result<uint64_t> HeadBytesOf(std::string_view start);
// `bytes` is the whole head; more may follow. EBADMSG, with the reason, for anything that
// EncodeChunkHead would not have written.
base::Result<ChunkHead> ParseChunkHead(std::string_view bytes);

}  // namespace stokefs::cache
