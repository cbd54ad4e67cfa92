// A sorted table in a file, looked up by reading one page of it. All integers little-endian.
//
//   table := page{n} fence{n} checksum:u64            n: rows / 102, rounded up; of the fences
//   page  := count:u32 zero:u32 row{count} zero{...} checksum:u64          4,096 bytes
//   fence := key                                      of its page's first row
//   row   := key count:u32 place:u64 bytes:u64
//   key   := high:u64 low:u64 extent:u32              in a fence, followed by zero:u32
//
// Checksums are the XXH3-64 of what is before them in the page, or of all fences. Rows rise by key,
// without duplicates; every page but the last is full. What `count`, `place` and `bytes` tell is
// the user's business. The fences are held in memory (24 bytes a page), pages in a bounded cache.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/lru_map.h"

namespace stokefs::cache {

struct PackedKey {
  uint64_t high = 0;
  uint64_t low = 0;
  uint32_t extent = 0;

  auto operator<=>(const PackedKey&) const = default;
};

struct PackedRow {
  PackedKey key;
  uint32_t count = 0;
  uint64_t place = 0;
  uint64_t bytes = 0;

  bool operator==(const PackedRow&) const = default;
};

// Where a table lies in its file.
struct PackedTablePlace {
  uint64_t offset = 0;
  uint64_t rows = 0;

  bool operator==(const PackedTablePlace&) const = default;
};

// `sorted` rises by key without duplicates.
std::string EncodePackedTable(std::span<const PackedRow> sorted);
uint64_t PackedTableBytes(uint64_t rows);

// Thread-safe. Calls block for as long as the disk pleases. EBADMSG for what EncodePackedTable
// would not have written.
class PackedTable {
 public:
  // Reads the fences. `fd` outlives the table; `file_bytes` is the file's size.
  static base::Result<std::unique_ptr<PackedTable>> Open(int fd, PackedTablePlace place,
                                                         uint64_t file_bytes);

  // The last row whose key is at most `key`.
  base::Result<std::optional<PackedRow>> FindLast(const PackedKey& key) const;

 private:
  using Page = std::vector<PackedRow>;

  PackedTable(int fd, PackedTablePlace place) : fd_(fd), place_(place) {}
  base::Result<std::shared_ptr<Page>> ReadPage(uint64_t index) const;

  static constexpr size_t kPagesHeld = 1024;  // 4 MiB of rows

  const int fd_;
  const PackedTablePlace place_;
  std::vector<PackedKey> fences_;  // not changed after Open
  mutable LruMap<uint64_t, Page> pages_{kPagesHeld};
};

// `count` bytes of a file. EBADMSG when it is shorter.
base::Result<std::string> ReadExactly(int fd, uint64_t offset, uint64_t count);

}  // namespace stokefs::cache
