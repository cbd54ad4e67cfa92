#include "cache/packed_table.h"

#include <xxhash.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/file.h"
#include "cache/byte_codec.h"

namespace stokefs::cache {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kPageRows = 102;
constexpr uint64_t kFenceBytes = 24;
constexpr uint64_t kChecksumBytes = 8;

tl::unexpected<base::Error> Bad(const char* why) {
  return base::FailErrno(EBADMSG, std::string("table: ") + why);
}

uint64_t PageCount(uint64_t rows) { return rows / kPageRows + (rows % kPageRows != 0 ? 1 : 0); }

void PutKey(ByteWriter& bytes, const PackedKey& key) {
  bytes.Put(key.high);
  bytes.Put(key.low);
  bytes.Put(key.extent);
}

PackedKey GetKey(ByteReader& bytes) {
  PackedKey key;
  key.high = bytes.Get<uint64_t>();
  key.low = bytes.Get<uint64_t>();
  key.extent = bytes.Get<uint32_t>();
  return key;
}

void PutChecksum(ByteWriter& bytes) {
  bytes.Put<uint64_t>(XXH3_64bits(bytes.bytes().data(), bytes.bytes().size()));
}

// What is before the checksum that `bytes` end with; nullopt when that is another.
std::optional<std::string_view> Checked(std::string_view bytes) {
  std::string_view const body = bytes.substr(0, bytes.size() - kChecksumBytes);
  auto const checksum = ByteReader(bytes.substr(body.size())).Get<uint64_t>();
  if (XXH3_64bits(body.data(), body.size()) != checksum) return std::nullopt;
  return body;
}

std::string EncodePage(std::span<const PackedRow> rows) {
  ByteWriter page;
  page.Put(static_cast<uint32_t>(rows.size()));
  page.Put(uint32_t{0});
  for (PackedRow const& row : rows) {
    PutKey(page, row.key);
    page.Put(row.count);
    page.Put(row.place);
    page.Put(row.bytes);
  }
  page.PutBytes(std::string(kPageBytes - kChecksumBytes - page.bytes().size(), '\0'));
  PutChecksum(page);
  return page.Take();
}

base::Result<std::vector<PackedRow>> ParsePage(std::string_view bytes, uint64_t row_count) {
  auto const body = Checked(bytes);
  if (!body) return Bad("checksum of a page");
  ByteReader fields(*body);
  if (fields.Get<uint32_t>() != row_count || fields.Get<uint32_t>() != 0) return Bad("page");
  std::vector<PackedRow> rows(row_count);
  for (size_t i = 0; i < row_count; ++i) {
    PackedRow& row = rows[i];
    row.key = GetKey(fields);
    row.count = fields.Get<uint32_t>();
    row.place = fields.Get<uint64_t>();
    row.bytes = fields.Get<uint64_t>();
    if (i > 0 && rows[i - 1].key >= row.key) return Bad("order of rows");
  }
  return rows;
}

}  // namespace

base::Result<std::string> ReadExactly(int fd, uint64_t offset, uint64_t count) {
  std::string bytes(count, '\0');
  auto const got = base::ReadAt(fd, std::as_writable_bytes(std::span(bytes)), offset);
  if (!got) return tl::unexpected<base::Error>(got.error());
  if (*got != count) return base::FailErrno(EBADMSG, "the file is shorter");
  return bytes;
}

uint64_t PackedTableBytes(uint64_t rows) {
  return PageCount(rows) * (kPageBytes + kFenceBytes) + kChecksumBytes;
}

std::string EncodePackedTable(std::span<const PackedRow> sorted) {
  std::string pages;
  ByteWriter fences;
  for (size_t first = 0; first < sorted.size(); first += kPageRows) {
    pages += EncodePage(sorted.subspan(first, std::min(kPageRows, sorted.size() - first)));
    PutKey(fences, sorted[first].key);
    fences.Put(uint32_t{0});
  }
  PutChecksum(fences);
  pages += fences.bytes();
  STOKEFS_CHECK(pages.size() == PackedTableBytes(sorted.size()));
  return pages;
}

base::Result<std::unique_ptr<PackedTable>> PackedTable::Open(int fd, PackedTablePlace place,
                                                             uint64_t file_bytes) {
  // Bounded before anything is read or allocated; a row takes 40 bytes of the file.
  if (place.offset > file_bytes || place.rows > file_bytes / 40 ||
      PackedTableBytes(place.rows) > file_bytes - place.offset) {
    return Bad("outside its file");
  }
  std::unique_ptr<PackedTable> table(new PackedTable(fd, place));
  uint64_t const page_count = PageCount(place.rows);
  auto const bytes = ReadExactly(fd, place.offset + page_count * kPageBytes,
                                 page_count * kFenceBytes + kChecksumBytes);
  if (!bytes) return tl::unexpected<base::Error>(bytes.error());
  auto const body = Checked(*bytes);
  if (!body) return Bad("checksum of the fences");
  ByteReader fields(*body);
  table->fences_.reserve(page_count);
  for (uint64_t i = 0; i < page_count; ++i) {
    PackedKey const key = GetKey(fields);
    if (fields.Get<uint32_t>() != 0) return Bad("fence");
    if (i > 0 && table->fences_.back() >= key) return Bad("order of fences");
    table->fences_.push_back(key);
  }
  return table;
}

base::Result<std::shared_ptr<PackedTable::Page>> PackedTable::ReadPage(uint64_t index) const {
  if (auto held = pages_.Find(index)) return held;
  auto const bytes = ReadExactly(fd_, place_.offset + index * kPageBytes, kPageBytes);
  if (!bytes) return tl::unexpected<base::Error>(bytes.error());
  auto rows = ParsePage(*bytes, std::min(kPageRows, place_.rows - index * kPageRows));
  if (!rows) return tl::unexpected<base::Error>(rows.error());
  if (rows->front().key != fences_[index]) return Bad("first row of a page");
  auto page = std::make_shared<Page>(std::move(*rows));
  pages_.Put(index, page, 1);
  return page;
}

base::Result<std::optional<PackedRow>> PackedTable::FindLast(const PackedKey& key) const {
  auto const after = std::upper_bound(fences_.begin(), fences_.end(), key);
  if (after == fences_.begin()) return std::optional<PackedRow>();
  auto const page = ReadPage(static_cast<uint64_t>(after - fences_.begin()) - 1);
  if (!page) return tl::unexpected<base::Error>(page.error());
  auto const row =
      std::upper_bound((*page)->begin(), (*page)->end(), key,
                       [](const PackedKey& k, const PackedRow& r) { return k < r.key; });
  return std::optional<PackedRow>(*std::prev(row));  // the page's first is not above `key`
}

}  // namespace stokefs::cache
