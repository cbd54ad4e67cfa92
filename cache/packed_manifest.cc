#include "cache/packed_manifest.h"

#include <xxhash.h>

#include <cerrno>
#include <cstdio>

#include "cache/byte_codec.h"

namespace stokefs::cache {
namespace {

constexpr std::string_view kMagic = "STKPACKD";
constexpr size_t kChecksumBytes = 8;

tl::unexpected<base::Error> Bad(const char* why) {
  return base::FailErrno(EBADMSG, std::string("manifest: ") + why);
}

std::string Hex(uint64_t value) {
  char digits[17];
  snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

void PutTable(ByteWriter& body, PackedTablePlace place) {
  body.Put(place.offset);
  body.Put(place.rows);
}

PackedTablePlace GetTable(ByteReader& body) {
  PackedTablePlace place;
  place.offset = body.Get<uint64_t>();
  place.rows = body.Get<uint64_t>();
  return place;
}

}  // namespace

bool PackedManifest::operator==(const PackedManifest& other) const {
  return EncodePackedManifest(*this) == EncodePackedManifest(other);
}

std::string PackedManifest::Digest() const { return Hex(digest_high) + Hex(digest_low); }

std::string PackedManifest::IndexName() const { return Digest() + ".index"; }

std::string EncodePackedManifest(const PackedManifest& manifest) {
  ByteWriter body;
  body.PutBytes(kMagic);
  body.Put(kPackedVersion);
  body.PutBytes(std::string(7, '\0'));
  body.Put(manifest.digest_high);
  body.Put(manifest.digest_low);
  body.Put(manifest.index_bytes);
  body.Put(manifest.layout.chunk_bytes);
  body.Put(manifest.layout.chunk_samples);
  body.Put(uint32_t{0});
  body.Put(manifest.extent_bytes);
  body.Put(manifest.samples);
  body.Put(manifest.bytes);
  body.Put(manifest.files);
  for (PackedTablePlace const place : {manifest.folders, manifest.buckets, manifest.runs}) {
    PutTable(body, place);
  }
  body.Put<uint64_t>(XXH3_64bits(body.bytes().data(), body.bytes().size()));
  return body.Take();
}

base::Result<PackedManifest> ParsePackedManifest(std::string_view bytes) {
  ByteReader body(bytes);
  if (body.GetBytes(kMagic.size()) != kMagic) return Bad("magic");
  auto const version = body.Get<uint8_t>();
  if (body.Ok() && version != kPackedVersion) {
    return base::FailErrno(EPROTONOSUPPORT, "version " + std::to_string(version));
  }
  if (body.GetBytes(7) != std::string_view("\0\0\0\0\0\0\0", 7)) return Bad("zero");
  PackedManifest manifest;
  manifest.digest_high = body.Get<uint64_t>();
  manifest.digest_low = body.Get<uint64_t>();
  manifest.index_bytes = body.Get<uint64_t>();
  manifest.layout.chunk_bytes = body.Get<uint64_t>();
  manifest.layout.chunk_samples = body.Get<uint32_t>();
  if (body.Get<uint32_t>() != 0) return Bad("zero");
  manifest.extent_bytes = body.Get<uint64_t>();
  manifest.samples = body.Get<uint64_t>();
  manifest.bytes = body.Get<uint64_t>();
  manifest.files = body.Get<uint64_t>();
  for (PackedTablePlace* const place : {&manifest.folders, &manifest.buckets, &manifest.runs}) {
    *place = GetTable(body);
  }
  auto const checksum = body.Get<uint64_t>();
  if (!body.AtEnd()) return Bad("length");
  if (XXH3_64bits(bytes.data(), bytes.size() - kChecksumBytes) != checksum) return Bad("checksum");
  if (manifest.extent_bytes == 0 || manifest.extent_bytes > 0xFFFFFFFF) return Bad("extent_bytes");
  return manifest;
}

std::string PackedChunkFolder(uint64_t checksum) {
  return std::string(kChunksName) + "/" + Hex(checksum).substr(0, 2);
}

std::string PackedChunkName(uint64_t checksum) {
  return PackedChunkFolder(checksum) + "/" + Hex(checksum) + ".chunk";
}

}  // namespace stokefs::cache
