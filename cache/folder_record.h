// How a listed folder, and the catalog's own description, are kept on disk. All integers
// little-endian.
//
//   record  := body checksum:u64                        XXH3-64 of the body
//   body    := version:u8 kind:u8 (folder | catalog)    version 1
//   folder  := path_bytes:u32 path part:u32 is_last:u8 count:u32 entry{count}      kind 1
//   entry   := name_bytes:u8 name type:u8 permissions:u16 user:u32 group:u32 links:u32
//              device:u64 size:u64 inode:u64 mtime_ns:i64 ctime_ns:i64
//              target{size}                             of links only, as the mount shows it
//   catalog := source_bytes:u32 source root_inode:u64 chunk_bytes:u64 chunk_samples:u32
//              extent_bytes:u64 records:u64 records_digest:u64 digest{32}          kind 2
//
// A folder of many entries has several records, parts 0, 1, ..., the last one marked; names rise
// through all of them. `records_digest` is the XXH3-64 of all folder records' checksums in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/chunk_layout.h"
#include "cache/folder_listing.h"

namespace stokefs::cache {

inline constexpr uint8_t kRecordVersion = 1;

// Entries of one record: keeps what is held at once near half a MiB, whatever the folder's size.
inline constexpr size_t kRecordEntryCountMax = 4096;

struct FolderRecord {
  std::string path;  // below SOURCE; empty: the root
  uint32_t part = 0;
  bool is_last = true;
  FolderListing listing;  // sorted; `self` is not kept, the parent's record has it
};

// What a kept catalog is of; used only when all of it is as expected.
struct CatalogSource {
  std::string path;  // SOURCE's canonical path
  uint64_t root_inode = 0;
  ChunkLayoutOptions layout;
  uint64_t extent_bytes = 0;
};

struct CatalogDescription {
  CatalogSource source;
  uint64_t records = 0;
  uint64_t records_digest = 0;
  std::string digest;  // LayoutSummary's
};

std::string EncodeFolderRecord(const FolderRecord& record);
std::string EncodeCatalogDescription(const CatalogDescription& description);

// EBADMSG, with the reason, for anything that the encoders would not have written.
base::Result<FolderRecord> ParseFolderRecord(std::string_view bytes);
base::Result<CatalogDescription> ParseCatalogDescription(std::string_view bytes);

// The checksum that `record` ends with (not compared with anything); 0 when it is too short.
uint64_t ChecksumOfRecord(std::string_view record);

}  // namespace stokefs::cache
