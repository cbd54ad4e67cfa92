// The parser of chunk files' heads: whatever it accepts, it must write again, byte for byte; and
// what was written is accepted.
#include <xxhash.h>

#include <cstring>
#include <string>

#include "base/check.h"
#include "cache/byte_codec.h"
#include "cache/chunk_format.h"

namespace {

using namespace stokefs::cache;

// The checksum would stop all but the luckiest inputs.
std::string Sealed(std::string bytes) {
  uint64_t const checksum = XXH3_64bits(bytes.data(), bytes.size());
  return bytes.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
}

void Parse(const std::string& bytes) {
  if (auto const head_bytes = HeadBytesOf(bytes)) {
    STOKEFS_CHECK(*head_bytes <= HeadBytes(kChunkEntryCountMax));
  }
  if (auto const parsed = ParseChunkHead(bytes)) {
    std::string const again = EncodeChunkHead(*parsed);
    STOKEFS_CHECK(bytes.compare(0, again.size(), again) == 0);
  }
}

// A right head of what the input tells, and the same with one of its bytes replaced.
void ParseMade(std::string_view input) {
  ByteReader fields(input);
  auto const change_at = fields.Get<uint16_t>();
  auto const change_to = fields.Get<uint8_t>();
  ChunkHead head{.dataset = fields.Get<uint64_t>(), .layout = fields.Get<uint64_t>()};
  for (;;) {
    ChunkEntry entry;
    entry.sample = {fields.Get<uint64_t>(), fields.Get<uint8_t>()};
    entry.extent = fields.Get<uint8_t>();
    entry.size_bytes = fields.Get<uint32_t>();
    if (!fields.Ok()) break;
    if (entry.size_bytes != 0) head.entries.push_back(entry);
  }
  if (head.entries.empty() || !PlacePayload(head)) return;
  head.id = CommonPrefix(head.entries.front().sample, head.entries.back().sample);
  std::string bytes = EncodeChunkHead(head);
  STOKEFS_CHECK(ParseChunkHead(bytes).has_value());
  bytes.resize(bytes.size() - sizeof(uint64_t));
  bytes[change_at % bytes.size()] = static_cast<char>(change_to);
  Parse(Sealed(bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string const input(reinterpret_cast<const char*>(data), size);
  Parse(Sealed(input));
  ParseMade(input);
  return 0;
}
