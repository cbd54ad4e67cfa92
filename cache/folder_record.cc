#include "cache/folder_record.h"

#include <xxhash.h>

#include <cerrno>

#include "base/check.h"
#include "cache/byte_codec.h"
#include "cache/stat_codec.h"

namespace stokefs::cache {
namespace {

constexpr uint8_t kFolderKind = 1;
constexpr uint8_t kCatalogKind = 2;
constexpr size_t kDigestDigits = 32;

tl::unexpected<base::Error> Bad(const std::string& why) {
  return base::FailErrno(EBADMSG, "catalog record: " + why);
}

std::string Seal(ByteWriter& body) {
  body.Put<uint64_t>(XXH3_64bits(body.bytes().data(), body.bytes().size()));
  return body.Take();
}

// The body's fields behind version and kind.
base::Result<std::string_view> Unseal(std::string_view record, uint8_t kind) {
  if (record.size() < 2 + sizeof(uint64_t)) return Bad("too short");
  std::string_view const body = record.substr(0, record.size() - sizeof(uint64_t));
  if (XXH3_64bits(body.data(), body.size()) != ChecksumOfRecord(record)) return Bad("checksum");
  if (static_cast<uint8_t>(body[0]) != kRecordVersion) return Bad("version");
  if (static_cast<uint8_t>(body[1]) != kind) return Bad("kind");
  return body.substr(2);
}

void PutEntry(ByteWriter& body, const FolderListing& listing, size_t index) {
  std::string_view const name = listing.Name(index);
  OriginStat const& stat = listing.Stat(index);
  body.Put(static_cast<uint8_t>(name.size()));
  body.PutBytes(name);
  PutStat(body, stat);
  if (stat.type != FileType::kSymlink) return;
  STOKEFS_CHECK(stat.size_bytes == listing.Target(index).size());
  body.PutBytes(listing.Target(index));
}

// False: not an entry that was ever written.
bool GetEntry(ByteReader& body, std::string_view previous_name, FolderListing& into) {
  std::string_view const name = body.GetBytes(body.Get<uint8_t>());
  if (!FolderListing::IsName(name) || name <= previous_name) return false;
  OriginStat stat;
  if (!GetStat(body, stat)) return false;
  std::string_view target;
  if (stat.type == FileType::kSymlink) {
    if (stat.size_bytes > FolderListing::kTargetBytesMax) return false;
    target = body.GetBytes(stat.size_bytes);
    if (!body.Ok()) return false;
  }
  into.Add(name, stat, target);
  return true;
}

bool IsPath(std::string_view path) {
  while (!path.empty()) {
    size_t const slash = path.find('/');
    if (!FolderListing::IsName(path.substr(0, slash))) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
    if (path.empty()) return false;
  }
  return true;
}

}  // namespace

uint64_t ChecksumOfRecord(std::string_view record) {
  if (record.size() < sizeof(uint64_t)) return 0;
  return ByteReader(record.substr(record.size() - sizeof(uint64_t))).Get<uint64_t>();
}

std::string EncodeFolderRecord(const FolderRecord& record) {
  STOKEFS_CHECK(record.listing.Count() <= kRecordEntryCountMax);
  ByteWriter body;
  body.Put(kRecordVersion);
  body.Put(kFolderKind);
  body.Put(static_cast<uint32_t>(record.path.size()));
  body.PutBytes(record.path);
  body.Put(record.part);
  body.Put(static_cast<uint8_t>(record.is_last ? 1 : 0));
  body.Put(static_cast<uint32_t>(record.listing.Count()));
  for (size_t i = 0; i < record.listing.Count(); ++i) PutEntry(body, record.listing, i);
  return Seal(body);
}

base::Result<FolderRecord> ParseFolderRecord(std::string_view bytes) {
  auto const fields = Unseal(bytes, kFolderKind);
  if (!fields) return tl::unexpected<base::Error>(fields.error());
  ByteReader body(*fields);
  FolderRecord record;
  record.path = body.GetBytes(body.Get<uint32_t>());
  record.part = body.Get<uint32_t>();
  auto const is_last = body.Get<uint8_t>();
  record.is_last = is_last == 1;
  auto const count = body.Get<uint32_t>();
  if (!body.Ok() || is_last > 1 || count > kRecordEntryCountMax) return Bad("fields");
  if (!IsPath(record.path)) return Bad("path");
  for (uint32_t i = 0; i < count; ++i) {
    std::string const previous(i == 0 ? std::string_view() : record.listing.Name(i - 1));
    if (!GetEntry(body, previous, record.listing)) return Bad("entry");
  }
  if (!body.AtEnd()) return Bad("length");
  return record;
}

std::string EncodeCatalogDescription(const CatalogDescription& description) {
  STOKEFS_CHECK(description.digest.size() == kDigestDigits);
  CatalogSource const& source = description.source;
  ByteWriter body;
  body.Put(kRecordVersion);
  body.Put(kCatalogKind);
  body.Put(static_cast<uint32_t>(source.path.size()));
  body.PutBytes(source.path);
  body.Put(source.root_inode);
  body.Put(source.layout.chunk_bytes);
  body.Put(source.layout.chunk_samples);
  body.Put(source.extent_bytes);
  body.Put(description.records);
  body.Put(description.records_digest);
  body.PutBytes(description.digest);
  return Seal(body);
}

base::Result<CatalogDescription> ParseCatalogDescription(std::string_view bytes) {
  auto const fields = Unseal(bytes, kCatalogKind);
  if (!fields) return tl::unexpected<base::Error>(fields.error());
  ByteReader body(*fields);
  CatalogDescription description;
  CatalogSource& source = description.source;
  source.path = body.GetBytes(body.Get<uint32_t>());
  source.root_inode = body.Get<uint64_t>();
  source.layout.chunk_bytes = body.Get<uint64_t>();
  source.layout.chunk_samples = body.Get<uint32_t>();
  source.extent_bytes = body.Get<uint64_t>();
  description.records = body.Get<uint64_t>();
  description.records_digest = body.Get<uint64_t>();
  description.digest = body.GetBytes(kDigestDigits);
  if (!body.AtEnd()) return Bad("length");
  return description;
}

}  // namespace stokefs::cache
