// The parsers of catalog records: whatever they accept, they must write again, byte for byte.
#include <xxhash.h>

#include <string>

#include "base/check.h"
#include "cache/folder_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stokefs::cache;
  std::string record(reinterpret_cast<const char*>(data), size);
  // The checksum would stop all but the luckiest inputs.
  uint64_t const checksum = XXH3_64bits(record.data(), record.size());
  record.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
  if (auto const parsed = ParseFolderRecord(record)) {
    STOKEFS_CHECK(EncodeFolderRecord(*parsed) == record);
  }
  if (auto const parsed = ParseCatalogDescription(record)) {
    STOKEFS_CHECK(EncodeCatalogDescription(*parsed) == record);
  }
  return 0;
}
