#include "cache/chunk_format.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <tuple>

#include "base/check.h"
#include "cache/byte_codec.h"

namespace stokefs::cache {
namespace {

constexpr std::string_view kMagic = "STKCHUNK";
constexpr uint64_t kFixedBytes = 56;  // of the head, before the entries
constexpr uint64_t kEntryBytes = 56;
constexpr uint64_t kChecksumBytes = 8;
constexpr uint64_t kSmallAlignment = 8;
constexpr uint8_t kBitCountMax = 64;

tl::unexpected<base::Error> Bad(const char* why) {
  return base::FailErrno(EBADMSG, std::string("chunk head: ") + why);
}

constexpr uint64_t RoundUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

auto Order(const ChunkEntry& entry) { return std::tuple(entry.sample, entry.extent); }

// Where each entry belongs: one after another, in the order of the entries.
class Placement {
 public:
  explicit Placement(size_t count)
      : next_(RoundUp(HeadBytes(static_cast<uint32_t>(count)), kChunkAlignment)) {}

  uint64_t Next(uint32_t size_bytes) {
    bool const is_aligned = size_bytes >= kAlignedBlockBytesMin;
    uint64_t const offset = RoundUp(next_, is_aligned ? kChunkAlignment : kSmallAlignment);
    next_ = offset + size_bytes;
    return offset;
  }
  uint64_t FileBytes() const { return RoundUp(next_, kChunkAlignment); }

 private:
  uint64_t next_;
};

bool IsIn(SampleId sample, ChunkId id) {
  return id.bit_count == 0 || ((sample.high ^ id.prefix) >> (kBitCountMax - id.bit_count)) == 0;
}

// Null: a head that may be written; else what is wrong with it.
const char* WhatIsWrong(const ChunkHead& head) {
  if (head.entries.empty() || head.entries.size() > kChunkEntryCountMax) return "count";
  if (head.id.bit_count > kBitCountMax) return "bit_count";
  if (head.id.bit_count < kBitCountMax && head.id.prefix << head.id.bit_count != 0) return "prefix";
  Placement placement(head.entries.size());
  const ChunkEntry* previous = nullptr;
  for (ChunkEntry const& entry : head.entries) {
    if (!IsIn(entry.sample, head.id)) return "entry of another bucket";
    if (entry.size_bytes == 0) return "empty entry";
    if (previous != nullptr && Order(*previous) >= Order(entry)) return "order of the entries";
    if (entry.offset != placement.Next(entry.size_bytes)) return "offset";
    previous = &entry;
  }
  if (head.file_bytes != placement.FileBytes()) return "file_bytes";
  return nullptr;
}

uint64_t MembersDigest(const std::vector<ChunkEntry>& entries) {
  ByteWriter words;
  for (ChunkEntry const& entry : entries) {
    words.Put(entry.sample.high);
    words.Put(entry.sample.low);
    words.Put(uint64_t{entry.extent});
    words.Put(uint64_t{entry.size_bytes});
    words.Put(entry.mtime_ns);
  }
  return XXH3_64bits(words.bytes().data(), words.bytes().size());
}

ChunkEntry GetEntry(ByteReader& body) {
  ChunkEntry entry;
  entry.sample.high = body.Get<uint64_t>();
  entry.sample.low = body.Get<uint64_t>();
  entry.extent = body.Get<uint32_t>();
  entry.size_bytes = body.Get<uint32_t>();
  entry.offset = body.Get<uint64_t>();
  entry.digest = body.Get<uint64_t>();
  entry.tag = body.Get<uint64_t>();
  entry.mtime_ns = body.Get<int64_t>();
  return entry;
}

}  // namespace

uint64_t TagOf(SampleId sample, uint32_t extent, const FileVersion& version) {
  uint64_t const words[] = {sample.high,
                            sample.low,
                            extent,
                            version.size_bytes,
                            version.inode,
                            static_cast<uint64_t>(version.mtime_ns),
                            static_cast<uint64_t>(version.ctime_ns)};
  return XXH3_64bits(words, sizeof(words));
}

uint64_t LayoutTag(ChunkLayoutOptions options, uint64_t extent_bytes) {
  uint64_t const words[] = {options.chunk_bytes, options.chunk_samples, extent_bytes};
  return XXH3_64bits(words, sizeof(words));
}

ChunkId CommonPrefix(SampleId first, SampleId last) {
  int const bit_count = std::countl_zero(first.high ^ last.high);  // 64 for none that differ
  uint64_t const mask = bit_count == 0 ? 0 : ~uint64_t{0} << (kBitCountMax - bit_count);
  return {.prefix = first.high & mask, .bit_count = static_cast<uint8_t>(bit_count)};
}

base::Status PlacePayload(ChunkHead& head) {
  STOKEFS_CHECK(!head.entries.empty() && head.entries.size() <= kChunkEntryCountMax);
  std::sort(head.entries.begin(), head.entries.end(),
            [](const ChunkEntry& a, const ChunkEntry& b) { return Order(a) < Order(b); });
  auto const twin = std::adjacent_find(
      head.entries.begin(), head.entries.end(),
      [](const ChunkEntry& a, const ChunkEntry& b) { return Order(a) == Order(b); });
  if (twin != head.entries.end()) return base::FailErrno(EEXIST, "chunk: a block twice");
  Placement placement(head.entries.size());
  for (ChunkEntry& entry : head.entries) entry.offset = placement.Next(entry.size_bytes);
  head.file_bytes = placement.FileBytes();
  return {};
}

uint64_t HeadBytes(uint32_t count) { return kFixedBytes + count * kEntryBytes + kChecksumBytes; }

std::string EncodeChunkHead(const ChunkHead& head) {
  STOKEFS_CHECK(WhatIsWrong(head) == nullptr);
  ByteWriter body;
  body.PutBytes(kMagic);
  body.Put(kChunkFormatVersion);
  body.Put(head.id.bit_count);
  body.Put(uint16_t{0});
  body.Put(static_cast<uint32_t>(head.entries.size()));
  body.Put(head.id.prefix);
  body.Put(head.dataset);
  body.Put(head.layout);
  body.Put(MembersDigest(head.entries));
  body.Put(head.file_bytes);
  for (ChunkEntry const& entry : head.entries) {
    body.Put(entry.sample.high);
    body.Put(entry.sample.low);
    body.Put(entry.extent);
    body.Put(entry.size_bytes);
    body.Put(entry.offset);
    body.Put(entry.digest);
    body.Put(entry.tag);
    body.Put(entry.mtime_ns);
  }
  body.Put<uint64_t>(XXH3_64bits(body.bytes().data(), body.bytes().size()));
  return body.Take();
}

base::Result<uint64_t> HeadBytesOf(std::string_view start) {
  ByteReader body(start);
  if (body.GetBytes(kMagic.size()) != kMagic) return Bad("magic");
  if (body.Get<uint8_t>() != kChunkFormatVersion) return Bad("version");
  body.GetBytes(3);
  auto const count = body.Get<uint32_t>();
  if (!body.Ok()) return Bad("too short");
  if (count == 0 || count > kChunkEntryCountMax) return Bad("count");
  return HeadBytes(count);
}

base::Result<ChunkHead> ParseChunkHead(std::string_view bytes) {
  auto const head_bytes = HeadBytesOf(bytes);
  if (!head_bytes) return tl::unexpected<base::Error>(head_bytes.error());
  if (bytes.size() < *head_bytes) return Bad("too short");
  uint64_t const checked_bytes = *head_bytes - kChecksumBytes;
  auto const checksum = ByteReader(bytes.substr(checked_bytes)).Get<uint64_t>();
  if (XXH3_64bits(bytes.data(), checked_bytes) != checksum) return Bad("checksum");

  ByteReader body(bytes.substr(kMagic.size() + 1));
  ChunkHead head;
  head.id.bit_count = body.Get<uint8_t>();
  if (body.Get<uint16_t>() != 0) return Bad("zero");
  auto const count = body.Get<uint32_t>();
  head.id.prefix = body.Get<uint64_t>();
  head.dataset = body.Get<uint64_t>();
  head.layout = body.Get<uint64_t>();
  auto const members_digest = body.Get<uint64_t>();
  head.file_bytes = body.Get<uint64_t>();
  head.entries.reserve(count);
  for (uint32_t i = 0; i < count; ++i) head.entries.push_back(GetEntry(body));
  if (const char* const wrong = WhatIsWrong(head)) return Bad(wrong);
  if (MembersDigest(head.entries) != members_digest) return Bad("members_digest");
  return head;
}

}  // namespace stokefs::cache
