// The parsers of a packed dataset: a manifest that is accepted is written again byte for byte; a
// table whose checksums are right gives rows or errors, whatever else is in it.
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/file.h"
#include "cache/packed_manifest.h"
#include "cache/packed_table.h"

namespace {

using namespace stokefs;

void PutChecksum(std::string& bytes, size_t first, size_t end) {
  uint64_t const checksum = XXH3_64bits(bytes.data() + first, end - 8 - first);
  std::memcpy(bytes.data() + end - 8, &checksum, sizeof(checksum));
}

void ParseManifest(std::string bytes) {
  if (bytes.size() < 8) return;
  PutChecksum(bytes, 0, bytes.size());
  auto const parsed = cache::ParsePackedManifest(bytes);
  if (parsed) STOKEFS_CHECK(cache::EncodePackedManifest(*parsed) == bytes);
}

void ReadTable(std::string bytes) {
  if (bytes.size() < 8) return;
  // So many rows that the pages and fences just fit.
  uint64_t const pages = (bytes.size() - 8) / (4096 + 24);
  uint64_t rows = pages * 102;
  if (pages > 0) rows -= static_cast<uint8_t>(bytes.back()) % 102;
  for (uint64_t i = 0; i < pages; ++i) PutChecksum(bytes, i * 4096, (i + 1) * 4096);
  size_t const end = cache::PackedTableBytes(rows);
  PutChecksum(bytes, pages * 4096, end);
  base::UniqueFd const fd(memfd_create("table", MFD_CLOEXEC));
  STOKEFS_CHECK(base::WriteAll(fd.Get(), bytes).has_value());
  auto const table = cache::PackedTable::Open(fd.Get(), {.rows = rows}, bytes.size());
  if (!table) return;
  for (uint64_t const high : {uint64_t{0}, uint64_t{1} << 56, ~uint64_t{0}}) {
    cache::PackedKey const key{.high = high, .low = high, .extent = 1};
    auto const found = (*table)->FindLast(key);
    STOKEFS_CHECK(!found || !*found || (*found)->key <= key);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string const input(reinterpret_cast<const char*>(data), size);
  ParseManifest(input);
  ReadTable(input);
  return 0;
}
