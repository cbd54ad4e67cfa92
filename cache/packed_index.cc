#include "cache/packed_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <cerrno>
#include <utility>

#include "cache/byte_codec.h"
#include "cache/folder_record.h"
#include "cache/stat_codec.h"

namespace stokefs::cache {
namespace {

constexpr std::string_view kHeader{"STKINDEX\1\0\0\0\0\0\0\0", 16};
static_assert(kHeader[8] == kPackedIndexVersion);

// Above the largest record (4,096 links of 4,095 bytes) with its path.
constexpr uint32_t kRecordBytesMax = 64u << 20;

tl::unexpected<base::Error> Bad(const char* why) {
  return base::FailErrno(EBADMSG, std::string("index: ") + why);
}

struct FolderHead {
  OriginStat self;
  std::vector<uint32_t> part_bytes;
};

uint64_t FolderHeadBytes(uint64_t parts) { return kStatBytes + parts * 4 + 8; }

base::Result<FolderHead> ReadFolderHead(int fd, const PackedRow& row) {
  uint64_t const head_bytes = FolderHeadBytes(row.count);
  if (row.count == 0 || head_bytes > row.bytes) return Bad("folder's row");
  auto const bytes = ReadExactly(fd, row.place, head_bytes);
  if (!bytes) return base::Wrap(bytes.error(), "index");
  ByteReader fields(*bytes);
  FolderHead head;
  if (!GetStat(fields, head.self)) return Bad("folder's stat");
  uint64_t sum = head_bytes;
  for (uint32_t i = 0; i < row.count; ++i) {
    head.part_bytes.push_back(fields.Get<uint32_t>());
    if (head.part_bytes.back() > kRecordBytesMax) return Bad("folder's part");
    sum += head.part_bytes.back();
  }
  auto const checksum = fields.Get<uint64_t>();
  if (XXH3_64bits(bytes->data(), head_bytes - 8) != checksum) return Bad("folder's checksum");
  if (sum != row.bytes || head.self.type != FileType::kFolder) return Bad("folder");
  return head;
}

}  // namespace

base::Result<std::shared_ptr<const PackedIndex>> PackedIndex::Open(int folder,
                                                                   const PackedManifest& manifest) {
  base::UniqueFd fd(openat(folder, manifest.IndexName().c_str(),
                           O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd.Valid()) return base::FailErrno(errno, "index " + manifest.IndexName());
  struct stat st {};
  if (fstat(fd.Get(), &st) != 0) return base::FailErrno(errno, "index");
  auto const file_bytes = static_cast<uint64_t>(st.st_size);
  if (!S_ISREG(st.st_mode) || file_bytes != manifest.index_bytes) return Bad("size of the file");
  auto const header = ReadExactly(fd.Get(), 0, kHeader.size());
  if (!header) return base::Wrap(header.error(), "index");
  if (*header != kHeader) return Bad("magic");
  std::shared_ptr<PackedIndex> index(new PackedIndex(std::move(fd), manifest));
  struct Section {
    std::unique_ptr<PackedTable>& table;
    PackedTablePlace place;
  };
  for (Section const section :
       {Section{index->folders_, manifest.folders}, Section{index->buckets_, manifest.buckets},
        Section{index->runs_, manifest.runs}}) {
    auto table = PackedTable::Open(index->fd_.Get(), section.place, file_bytes);
    if (!table) return base::Wrap(std::move(table.error()), "index");
    section.table = std::move(*table);
  }
  return std::shared_ptr<const PackedIndex>(std::move(index));
}

base::Result<FolderListing> PackedIndex::ReadFolder(const std::string& path) const {
  SampleId const id = MakeSampleId(path);
  auto const row = folders_->FindLast({.high = id.high, .low = id.low});
  if (!row) return base::Wrap(row.error(), "index");
  if (!*row || (*row)->key != PackedKey{.high = id.high, .low = id.low}) {
    return base::FailErrno(ENOENT, "index: no such folder");
  }
  auto const head = ReadFolderHead(fd_.Get(), **row);
  if (!head) return tl::unexpected<base::Error>(head.error());
  FolderListing whole;
  uint64_t offset = (*row)->place + FolderHeadBytes((*row)->count);
  // Part by part, so that a folder of a million names is not there twice.
  for (uint32_t part = 0; part < (*row)->count; ++part) {
    auto const bytes = ReadExactly(fd_.Get(), offset, head->part_bytes[part]);
    if (!bytes) return base::Wrap(bytes.error(), "index");
    offset += bytes->size();
    auto record = ParseFolderRecord(*bytes);
    if (!record) return base::Wrap(std::move(record.error()), "index");
    bool const is_last = part + 1 == (*row)->count;
    if (record->path != path || record->part != part || record->is_last != is_last) {
      return Bad("another folder's part");
    }
    FolderListing& listing = record->listing;
    if (part > 0 && listing.Count() > 0 && listing.Name(0) <= whole.Name(whole.Count() - 1)) {
      return Bad("order of a folder's parts");
    }
    if (part == 0) {
      whole = std::move(listing);
      continue;
    }
    for (size_t i = 0; i < listing.Count(); ++i) {
      whole.Add(listing.Name(i), listing.Stat(i), listing.Target(i));
    }
  }
  whole.self = head->self;
  return whole;
}

base::Result<std::optional<PackedIndex::ChunkFile>> PackedIndex::FindChunk(SampleId sample,
                                                                           uint32_t extent,
                                                                           Kind kind) const {
  bool const is_large = kind == Kind::kLarge;
  PackedKey const key{
      .high = sample.high, .low = sample.low, .extent = is_large ? extent : uint32_t{0}};
  auto const row = (is_large ? runs_ : buckets_)->FindLast(key);
  if (!row) return base::Wrap(row.error(), "index");
  std::optional<ChunkFile> none;
  if (!*row) return none;
  PackedKey const& found = (*row)->key;
  if (is_large && (found.high != sample.high || found.low != sample.low)) return none;
  return std::optional<ChunkFile>(
      {.checksum = (*row)->place, .entry_count = (*row)->count, .file_bytes = (*row)->bytes});
}

}  // namespace stokefs::cache
