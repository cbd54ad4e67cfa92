// The parser of lists of paths: whatever it accepts it must write again, byte for byte; and what
// was written is accepted.
#include <xxhash.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/check.h"
#include "cache/path_list.h"

using namespace stokefs::cache;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string const input(reinterpret_cast<const char*>(data), size);
  (void)ParsePathList(input);
  // The checksum would stop all but the luckiest inputs: the same as a body, sealed.
  char head[64];
  snprintf(head, sizeof(head), "stokefs-paths 1 %016llx\n",
           static_cast<unsigned long long>(XXH3_64bits(input.data(), input.size())));
  std::string const sealed = head + input;
  if (auto const paths = ParsePathList(sealed)) {
    STOKEFS_CHECK(EncodePathList(*paths) == sealed);
    std::vector<std::string> const outer = WithoutNested(*paths);
    for (std::string const& path : *paths) {
      size_t above = 0;
      for (std::string const& other : outer) above += IsAtOrBelow(path, other) ? 1 : 0;
      STOKEFS_CHECK(above == 1);
    }
  }
  return 0;
}
