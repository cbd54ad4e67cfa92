#include "cache/folder_record.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cerrno>
#include <random>
#include <string>

namespace stokefs::cache {
namespace {

FolderRecord MakeRecord() {
  FolderRecord record{.path = "a/\xFF\n", .part = 3, .is_last = false, .listing = {}};
  record.listing.Add("1", {.permissions = 07777,
                           .user_id = 1,
                           .group_id = 2,
                           .link_count = 3,
                           .device = 4,
                           .size_bytes = uint64_t{1} << 40,
                           .inode = 5,
                           .mtime_ns = -6,
                           .ctime_ns = 7});
  record.listing.Add(std::string(255, 'n'), {.type = FileType::kFolder});
  record.listing.Add("x", {.type = FileType::kSymlink, .size_bytes = 6}, "target");
  return record;
}

std::string Reseal(std::string record) {
  record.resize(record.size() - 8);
  uint64_t const checksum = XXH3_64bits(record.data(), record.size());
  return record.append(reinterpret_cast<const char*>(&checksum), 8);
}

TEST(FolderRecord, RoundTripKeepsEverything) {
  FolderRecord const record = MakeRecord();
  auto const parsed = ParseFolderRecord(EncodeFolderRecord(record));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->path, record.path);
  EXPECT_EQ(parsed->part, 3u);
  EXPECT_FALSE(parsed->is_last);
  ASSERT_EQ(parsed->listing.Count(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(parsed->listing.Name(i), record.listing.Name(i));
    EXPECT_EQ(parsed->listing.Target(i), record.listing.Target(i));
    EXPECT_EQ(parsed->listing.Stat(i), record.listing.Stat(i));
  }
  EXPECT_TRUE(ParseFolderRecord(EncodeFolderRecord({})));
}

TEST(FolderRecord, TruncatedAndFlippedOnesAreRefused) {
  std::string const good = EncodeFolderRecord(MakeRecord());
  for (size_t left = 0; left < good.size(); ++left) {
    auto const parsed = ParseFolderRecord(good.substr(0, left));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().Errno(), EBADMSG);
  }
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(ParseFolderRecord(bad)) << bit;
  }
  EXPECT_FALSE(ParseFolderRecord(good + "x"));
}

TEST(FolderRecord, RightChecksumOverWrongFieldsIsRefusedOrParsedWithoutHarm) {
  std::string const good = EncodeFolderRecord(MakeRecord());
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (unsigned changes = 1 + random() % 3; changes > 0; --changes) {
      bad[random() % bad.size()] = static_cast<char>(random());
    }
    auto const parsed = ParseFolderRecord(Reseal(bad));
    if (!parsed) continue;
    for (size_t k = 0; k < parsed->listing.Count(); ++k) {
      ASSERT_TRUE(FolderListing::IsName(parsed->listing.Name(k)));
    }
  }
}

TEST(FolderRecord, NamesOutOfOrderAreRefused) {
  FolderRecord record;
  record.listing.Add("b", {});
  record.listing.Add("a", {});
  EXPECT_FALSE(ParseFolderRecord(EncodeFolderRecord(record)));
}

TEST(CatalogDescription, RoundTripAndRefusal) {
  CatalogDescription description;
  description.source.path = "/data";
  description.source.root_inode = 2;
  description.source.extent_bytes = 3;
  description.records = 4;
  description.records_digest = 5;
  description.digest.assign(32, 'f');
  std::string const good = EncodeCatalogDescription(description);
  auto const parsed = ParseCatalogDescription(good);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->source.path, "/data");
  EXPECT_EQ(parsed->records, 4u);
  EXPECT_EQ(parsed->records_digest, 5u);
  EXPECT_EQ(parsed->digest, description.digest);
  EXPECT_FALSE(ParseFolderRecord(good));
  for (size_t left = 0; left < good.size(); ++left) {
    EXPECT_FALSE(ParseCatalogDescription(good.substr(0, left)));
  }
}

}  // namespace
}  // namespace stokefs::cache
