#include "cache/packed_index_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "cache/byte_codec.h"
#include "cache/folder_record.h"
#include "cache/ids.h"
#include "cache/packed_index.h"
#include "cache/stat_codec.h"

namespace stokefs::cache {
namespace {

constexpr size_t kWriteBytes = 4u << 20;

bool KeyIsLess(const PackedRow& a, const PackedRow& b) { return a.key < b.key; }
bool KeyIsSame(const PackedRow& a, const PackedRow& b) { return a.key == b.key; }

}  // namespace

base::Result<std::unique_ptr<PackedIndexWriter>> PackedIndexWriter::Create(std::string folder) {
  std::string const path = folder + "/index.new";
  base::UniqueFd fd(
      open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.Valid()) return base::FailErrno(errno, path);
  std::unique_ptr<PackedIndexWriter> writer(
      new PackedIndexWriter(std::move(folder), std::move(fd)));
  ByteWriter header;
  header.PutBytes("STKINDEX");
  header.Put(kPackedIndexVersion);
  header.PutBytes(std::string(7, '\0'));
  if (auto put = writer->Append(header.bytes()); !put) return tl::unexpected(put.error());
  return writer;
}

PackedIndexWriter::PackedIndexWriter(std::string folder, base::UniqueFd fd)
    : folder_(std::move(folder)), fd_(std::move(fd)), digest_(XXH3_createState(), XXH3_freeState) {
  XXH3_128bits_reset(digest_.get());
}

PackedIndexWriter::~PackedIndexWriter() {
  if (!is_finished_) unlink(NewPath().c_str());
}

base::Status PackedIndexWriter::Append(std::string_view bytes) {
  unwritten_ += bytes;
  bytes_ += bytes.size();
  return unwritten_.size() < kWriteBytes ? base::Status() : Flush();
}

base::Status PackedIndexWriter::Flush() {
  XXH3_128bits_update(digest_.get(), unwritten_.data(), unwritten_.size());
  auto const written = base::WriteAll(fd_.Get(), unwritten_);
  unwritten_.clear();
  return written ? written : base::Wrap(written.error(), NewPath());
}

base::Status PackedIndexWriter::AddFolder(const std::string& path, const FolderListing& listing) {
  std::vector<std::string> parts;
  size_t first = 0;
  do {
    size_t const end = std::min(listing.Count(), first + kRecordEntryCountMax);
    FolderRecord record{.path = path,
                        .part = static_cast<uint32_t>(parts.size()),
                        .is_last = end == listing.Count(),
                        .listing = {}};
    for (size_t i = first; i < end; ++i) {
      record.listing.Add(listing.Name(i), listing.Stat(i), listing.Target(i));
    }
    parts.push_back(EncodeFolderRecord(record));
    first = end;
  } while (first < listing.Count());

  ByteWriter folder;
  PutStat(folder, listing.self);
  for (std::string const& part : parts) folder.Put(static_cast<uint32_t>(part.size()));
  folder.Put<uint64_t>(XXH3_64bits(folder.bytes().data(), folder.bytes().size()));
  for (std::string const& part : parts) folder.PutBytes(part);
  SampleId const id = MakeSampleId(path);
  folders_.push_back({.key = {.high = id.high, .low = id.low},
                      .count = static_cast<uint32_t>(parts.size()),
                      .place = bytes_,
                      .bytes = folder.bytes().size()});
  return Append(folder.bytes());
}

base::Status PackedIndexWriter::AppendTable(std::vector<PackedRow> rows, PackedTablePlace& place) {
  std::sort(rows.begin(), rows.end(), KeyIsLess);
  // Two that are called alike would need a collision of 128 bits of hash.
  if (std::adjacent_find(rows.begin(), rows.end(), KeyIsSame) != rows.end()) {
    return base::FailErrno(EEXIST, "index: two rows of one key");
  }
  place = {.offset = bytes_, .rows = rows.size()};
  return Append(EncodePackedTable(rows));
}

base::Status PackedIndexWriter::Finish(std::vector<PackedRow> buckets, std::vector<PackedRow> runs,
                                       PackedManifest& manifest) {
  STOKEFS_CHECK(!is_finished_);
  auto status = AppendTable(std::move(folders_), manifest.folders);
  if (status) status = AppendTable(std::move(buckets), manifest.buckets);
  if (status) status = AppendTable(std::move(runs), manifest.runs);
  if (status) status = Flush();
  if (!status) return status;
  XXH128_hash_t const digest = XXH3_128bits_digest(digest_.get());
  manifest.digest_high = digest.high64;
  manifest.digest_low = digest.low64;
  manifest.index_bytes = bytes_;
  if (fsync(fd_.Get()) != 0) return base::FailErrno(errno, "sync " + NewPath());
  std::string const path = folder_ + "/" + manifest.IndexName();
  if (rename(NewPath().c_str(), path.c_str()) != 0) return base::FailErrno(errno, path);
  is_finished_ = true;
  return {};
}

}  // namespace stokefs::cache
