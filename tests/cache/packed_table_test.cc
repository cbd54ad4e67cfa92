#include "cache/packed_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace stokefs::cache {
namespace {

class PackedTableTest : public ::testing::Test {
 protected:
  // Rows of the keys 10, 20, 30, ...
  static std::vector<PackedRow> Rows(size_t count) {
    std::vector<PackedRow> rows;
    for (uint32_t i = 1; i <= count; ++i) {
      rows.push_back({.key = {.high = i * 10}, .count = i, .place = i * 2, .bytes = i * 3});
    }
    return rows;
  }
  base::Result<std::unique_ptr<PackedTable>> Open(const std::string& bytes,
                                                  PackedTablePlace place) {
    fd_ = base::UniqueFd(open((dir_ / "t").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
    EXPECT_TRUE(base::WriteAll(fd_.Get(), bytes).has_value());
    return PackedTable::Open(fd_.Get(), place, bytes.size());
  }

  testing::TempDir dir_;
  base::UniqueFd fd_;
};

TEST_F(PackedTableTest, TheLastRowNotAboveAKeyIsFoundWhateverPageItIsOn) {
  for (size_t const count : {1, 2, 101, 102, 103, 204, 1000}) {
    SCOPED_TRACE(count);
    auto const rows = Rows(count);
    auto const table = Open("front" + EncodePackedTable(rows), {.offset = 5, .rows = count});
    ASSERT_TRUE(table) << table.error().message;
    EXPECT_FALSE(*(*table)->FindLast({.high = 9, .low = ~uint64_t{0}}));
    for (size_t i = 0; i < count; ++i) {
      uint64_t const key = (i + 1) * 10;
      for (PackedKey const& asked : {PackedKey{.high = key}, PackedKey{.high = key, .extent = 1},
                                     PackedKey{.high = key + 9, .low = 5}}) {
        auto const found = (*table)->FindLast(asked);
        ASSERT_TRUE(found && *found);
        EXPECT_EQ(**found, rows[i]);
      }
    }
  }
}

TEST_F(PackedTableTest, AnEmptyTableHasNothing) {
  std::string const bytes = EncodePackedTable({});
  EXPECT_EQ(bytes.size(), PackedTableBytes(0));
  auto const table = Open(bytes, {});
  ASSERT_TRUE(table);
  auto const found = (*table)->FindLast({.high = ~uint64_t{0}});
  ASSERT_TRUE(found);
  EXPECT_FALSE(*found);
}

TEST_F(PackedTableTest, KeysAreOrderedByAllTheirParts) {
  std::vector<PackedRow> const rows = {{.key = {1, 1, 1}, .place = 1},
                                       {.key = {1, 1, 2}, .place = 2},
                                       {.key = {1, 2, 0}, .place = 3},
                                       {.key = {2, 0, 0}, .place = 4}};
  auto const table = Open(EncodePackedTable(rows), {.rows = 4});
  ASSERT_TRUE(table);
  auto const place = [&](PackedKey key) { return (**(*table)->FindLast(key)).place; };
  EXPECT_EQ(place({1, 1, 1}), 1u);
  EXPECT_EQ(place({1, 1, 7}), 2u);
  EXPECT_EQ(place({1, 2, 0}), 3u);
  EXPECT_EQ(place({1, 9, 9}), 3u);
  EXPECT_EQ(place({3, 0, 0}), 4u);
}

TEST_F(PackedTableTest, EveryFlippedBitGivesTheRightRowOrAnError) {
  auto const rows = Rows(103);  // two pages
  std::string const good = EncodePackedTable(rows);
  for (size_t bit = 0; bit < good.size() * 8; bit += 3) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    auto const table = Open(bad, {.rows = 103});
    size_t errors = table ? 0 : 1;
    if (!table) {
      EXPECT_EQ(table.error().Errno(), EBADMSG);
    }
    for (size_t i = 0; table && i < rows.size(); i += 51) {
      auto const found = (*table)->FindLast(rows[i].key);
      if (found) {
        ASSERT_EQ(**found, rows[i]) << bit;
      } else {
        ASSERT_EQ(found.error().Errno(), EBADMSG);
        ++errors;
      }
    }
    ASSERT_GT(errors, 0u) << "bit " << bit;
  }
}

TEST_F(PackedTableTest, PlacesOutsideTheFileAreRefusedBeforeAnythingIsRead) {
  std::string const bytes = EncodePackedTable(Rows(103));
  for (PackedTablePlace const place :
       {PackedTablePlace{.offset = 1, .rows = 103}, PackedTablePlace{.rows = 300},
        PackedTablePlace{.rows = ~uint64_t{0}}, PackedTablePlace{.offset = ~uint64_t{0}, .rows = 1},
        PackedTablePlace{.offset = bytes.size() + 1}, PackedTablePlace{.rows = 102}}) {
    auto const table = Open(bytes, place);
    ASSERT_FALSE(table) << place.offset << " " << place.rows;
    EXPECT_EQ(table.error().Errno(), EBADMSG);
  }
}

TEST_F(PackedTableTest, AFileThatIsCutOffIsAnErrorWhenItsPageIsRead) {
  auto const rows = Rows(103);
  std::string const bytes = EncodePackedTable(rows);
  auto const table = Open(bytes, {.rows = 103});
  ASSERT_TRUE(table);
  ASSERT_EQ(ftruncate(fd_.Get(), 4096), 0);
  EXPECT_TRUE((*table)->FindLast({.high = 10}));
  auto const found = (*table)->FindLast({.high = 1030});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().Errno(), EBADMSG);
}

}  // namespace
}  // namespace stokefs::cache
