#include "cache/packed_manifest.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace stokefs::cache {
namespace {

PackedManifest MakeManifest() {
  return {.digest_high = 0xABCDEF,
          .digest_low = 2,
          .index_bytes = 3,
          .layout = {.chunk_bytes = 4, .chunk_samples = 5},
          .extent_bytes = 6,
          .samples = 7,
          .bytes = 8,
          .files = 9,
          .folders = {10, 11},
          .buckets = {12, 13},
          .runs = {14, 15}};
}

TEST(PackedManifest, RoundTripKeepsEverything) {
  PackedManifest const manifest = MakeManifest();
  auto const parsed = ParsePackedManifest(EncodePackedManifest(manifest));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, manifest);
  EXPECT_EQ(parsed->layout.chunk_samples, 5u);
  EXPECT_EQ(parsed->runs, (PackedTablePlace{14, 15}));
  EXPECT_EQ(parsed->IndexName(), "0000000000abcdef0000000000000002.index");
}

TEST(PackedManifest, TruncatedAndFlippedOnesAreRefused) {
  std::string const good = EncodePackedManifest(MakeManifest());
  for (size_t left = 0; left < good.size(); ++left) {
    auto const parsed = ParsePackedManifest(good.substr(0, left));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().Errno(), EBADMSG) << left;
  }
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(ParsePackedManifest(bad)) << bit;
  }
  EXPECT_FALSE(ParsePackedManifest(good + "x"));
}

TEST(PackedManifest, AnotherVersionIsToldFromDamage) {
  std::string bytes = EncodePackedManifest(MakeManifest());
  bytes[8] = 2;
  auto const parsed = ParsePackedManifest(bytes);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().Errno(), EPROTONOSUPPORT);
  EXPECT_NE(parsed.error().message.find("version 2"), std::string::npos);
}

TEST(PackedManifest, ChunkFilesAreNamedByTheirChecksum) {
  EXPECT_EQ(PackedChunkName(0x0123456789abcdef), "chunks/01/0123456789abcdef.chunk");
  EXPECT_EQ(PackedChunkFolder(1), "chunks/00");
}

}  // namespace
}  // namespace stokefs::cache
