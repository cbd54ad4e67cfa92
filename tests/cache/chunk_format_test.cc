#include "cache/chunk_format.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>

namespace stokefs::cache {
namespace {

constexpr uint64_t kUpper = uint64_t{1} << 63;

// Three blocks, given out of order: small, large, and a second extent of the large one's sample.
ChunkHead MakeHead() {
  ChunkHead head{.id = {.prefix = kUpper, .bit_count = 1}, .dataset = 7, .layout = 8};
  head.entries = {
      {.sample = {kUpper + 2, 1}, .extent = 1, .size_bytes = 100, .digest = 3, .tag = 13},
      {.sample = {kUpper + 1, 9}, .size_bytes = 13, .digest = 1, .tag = 11, .mtime_ns = -5},
      {.sample = {kUpper + 2, 1}, .extent = 0, .size_bytes = 1u << 20, .digest = 2, .tag = 12},
  };
  EXPECT_TRUE(PlacePayload(head));
  return head;
}

template <typename T>
void Overwrite(std::string& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

// Members' digest and checksum as if the head had been written like that.
std::string Reseal(std::string bytes, size_t count) {
  std::string words;
  for (size_t i = 0; i < count; ++i) {
    std::string_view const entry(bytes.data() + 56 + i * 56, 56);
    words.append(entry.substr(0, 16));
    for (size_t const at : {16, 20}) words.append(entry.substr(at, 4)).append(4, '\0');
    words.append(entry.substr(48, 8));
  }
  Overwrite(bytes, 40, XXH3_64bits(words.data(), words.size()));
  Overwrite(bytes, bytes.size() - 8, XXH3_64bits(bytes.data(), bytes.size() - 8));
  return bytes;
}

void ExpectRefused(const std::string& bytes, const std::string& why) {
  auto const parsed = ParseChunkHead(bytes);
  ASSERT_FALSE(parsed) << why;
  EXPECT_EQ(parsed.error().Errno(), EBADMSG);
  EXPECT_NE(parsed.error().message.find(why), std::string::npos) << parsed.error().message;
}

TEST(ChunkFormat, RoundTripKeepsEverything) {
  ChunkHead const head = MakeHead();
  std::string const bytes = EncodeChunkHead(head);
  EXPECT_EQ(bytes.size(), HeadBytes(3));
  auto const head_bytes = HeadBytesOf(bytes);
  ASSERT_TRUE(head_bytes);
  EXPECT_EQ(*head_bytes, HeadBytes(3));
  auto const parsed = ParseChunkHead(bytes + "what follows");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->id, head.id);
  EXPECT_EQ(parsed->dataset, 7u);
  EXPECT_EQ(parsed->layout, 8u);
  EXPECT_EQ(parsed->file_bytes, head.file_bytes);
  ASSERT_EQ(parsed->entries.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    ChunkEntry const &was = head.entries[i], &is = parsed->entries[i];
    EXPECT_EQ(is.sample, was.sample);
    EXPECT_EQ(is.extent, was.extent);
    EXPECT_EQ(is.size_bytes, was.size_bytes);
    EXPECT_EQ(is.offset, was.offset);
    EXPECT_EQ(is.digest, was.digest);
    EXPECT_EQ(is.tag, was.tag);
    EXPECT_EQ(is.mtime_ns, was.mtime_ns);
  }
}

TEST(ChunkFormat, BlocksAreSortedAndPlacedOneAfterAnotherWithLargeOnesAligned) {
  ChunkHead const head = MakeHead();
  EXPECT_EQ(head.entries[0].offset, 4096u);
  EXPECT_EQ(head.entries[1].offset, 8192u);
  EXPECT_EQ(head.entries[2].offset, 8192u + (1u << 20));
  EXPECT_EQ(head.entries[2].extent, 1u);
  EXPECT_EQ(head.file_bytes, 12288u + (1u << 20));

  ChunkHead small{.id = {},
                  .entries = {{.sample = {1, 0}, .size_bytes = 13},
                              {.sample = {2, 0}, .size_bytes = 65535},
                              {.sample = {3, 0}, .size_bytes = 65536}}};
  ASSERT_TRUE(PlacePayload(small));
  EXPECT_EQ(small.entries[1].offset, 4096u + 16);
  EXPECT_EQ(small.entries[2].offset % 4096, 0u);
}

TEST(ChunkFormat, AHeadOfManyEntriesPushesThePayloadOn) {
  ChunkHead head;
  for (uint64_t i = 0; i < 1000; ++i) {
    head.entries.push_back({.sample = {i, 0}, .size_bytes = 8});
  }
  ASSERT_TRUE(PlacePayload(head));
  EXPECT_EQ(head.entries[0].offset, (HeadBytes(1000) + 4095) / 4096 * 4096);
  EXPECT_TRUE(ParseChunkHead(EncodeChunkHead(head)));
}

TEST(ChunkFormat, ABlockTwiceIsRefused) {
  ChunkHead head = MakeHead();
  head.entries.push_back(head.entries[0]);
  auto const placed = PlacePayload(head);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().Errno(), EEXIST);
}

TEST(ChunkFormat, EveryFlippedBitAndEveryTruncationIsRefused) {
  std::string const good = EncodeChunkHead(MakeHead());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    auto const parsed = ParseChunkHead(bad);
    ASSERT_FALSE(parsed) << "bit " << bit;
    EXPECT_EQ(parsed.error().Errno(), EBADMSG);
  }
  for (size_t left = 0; left < good.size(); ++left) {
    auto const parsed = ParseChunkHead(good.substr(0, left));
    ASSERT_FALSE(parsed) << left << " bytes";
    EXPECT_EQ(parsed.error().Errno(), EBADMSG);
  }
}

TEST(ChunkFormat, ADamagedCountNeverAsksForMoreThanTheLargestHead) {
  std::string bytes = EncodeChunkHead(MakeHead());
  for (uint32_t const count : {0u, kChunkEntryCountMax + 1, 0x80000003u, 0xFFFFFFFFu}) {
    Overwrite(bytes, 12, count);
    auto const head_bytes = HeadBytesOf(bytes);
    ASSERT_FALSE(head_bytes);
    EXPECT_EQ(head_bytes.error().Errno(), EBADMSG);
  }
  Overwrite(bytes, 12, kChunkEntryCountMax);
  ASSERT_TRUE(HeadBytesOf(bytes));
  EXPECT_LE(*HeadBytesOf(bytes), 3'670'080u);
  for (size_t left = 0; left < 16; ++left) EXPECT_FALSE(HeadBytesOf(bytes.substr(0, left)));
}

TEST(ChunkFormat, RightChecksumsOverWrongFieldsAreRefused) {
  std::string const good = EncodeChunkHead(MakeHead());
  ASSERT_TRUE(ParseChunkHead(Reseal(good, 3)));
  auto const with = [&](size_t offset, auto value) {
    std::string bad = good;
    Overwrite(bad, offset, value);
    return Reseal(bad, 3);
  };
  size_t const second = 56 + 56;
  ExpectRefused(with(8, uint8_t{2}), "version");
  ExpectRefused(with(9, uint8_t{65}), "bit_count");
  ExpectRefused(with(10, uint16_t{1}), "zero");
  ExpectRefused(with(16, kUpper | 1), "prefix");
  ExpectRefused(with(16, uint64_t{0}), "bucket");
  ExpectRefused(with(48, uint64_t{4096}), "file_bytes");
  ExpectRefused(with(second, uint64_t{5}), "bucket");
  ExpectRefused(with(second, kUpper + 3), "order");
  ExpectRefused(with(second + 16, uint32_t{1}), "order");  // its extent: the third entry's
  ExpectRefused(with(second + 20, uint32_t{0}), "empty");
  ExpectRefused(with(second + 24, uint64_t{4096}), "offset");       // over the first block
  ExpectRefused(with(second + 24, ~uint64_t{0} - 4095), "offset");  // out of the file
  ExpectRefused(with(second + 24, uint64_t{12288}), "offset");      // into the third
  std::string members = good;
  Overwrite(members, 40, uint64_t{1});
  Overwrite(members, members.size() - 8, XXH3_64bits(members.data(), members.size() - 8));
  ExpectRefused(members, "members_digest");
}

TEST(ChunkFormat, WhateverIsAcceptedIsWrittenAgainByteForByte) {
  std::string const good = EncodeChunkHead(MakeHead());
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  size_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] = static_cast<char>(random());
    bad = Reseal(bad, 3);
    auto const parsed = ParseChunkHead(bad);
    if (!parsed) continue;
    ++accepted;
    ASSERT_EQ(EncodeChunkHead(*parsed), bad);
  }
  EXPECT_GT(accepted, 0u);  // digests and tags may be anything
}

TEST(ChunkFormat, ATagDiffersByEveryFieldOfWhatItTells) {
  SampleId const sample{1, 2};
  FileVersion const version{.size_bytes = 3, .inode = 4, .mtime_ns = 5, .ctime_ns = 6};
  uint64_t const tag = TagOf(sample, 0, version);
  EXPECT_EQ(TagOf(sample, 0, version), tag);
  EXPECT_NE(TagOf({2, 2}, 0, version), tag);
  EXPECT_NE(TagOf({1, 3}, 0, version), tag);
  EXPECT_NE(TagOf(sample, 1, version), tag);
  for (auto const field : {&FileVersion::size_bytes, &FileVersion::inode}) {
    FileVersion other = version;
    ++(other.*field);
    EXPECT_NE(TagOf(sample, 0, other), tag);
  }
  for (auto const field : {&FileVersion::mtime_ns, &FileVersion::ctime_ns}) {
    FileVersion other = version;
    ++(other.*field);
    EXPECT_NE(TagOf(sample, 0, other), tag);
  }
}

TEST(ChunkFormat, ALayoutTagDiffersByEveryOption) {
  ChunkLayoutOptions const options{.chunk_bytes = 1, .chunk_samples = 2};
  uint64_t const tag = LayoutTag(options, 3);
  EXPECT_EQ(LayoutTag(options, 3), tag);
  EXPECT_NE(LayoutTag({.chunk_bytes = 2, .chunk_samples = 2}, 3), tag);
  EXPECT_NE(LayoutTag({.chunk_bytes = 1, .chunk_samples = 1}, 3), tag);
  EXPECT_NE(LayoutTag(options, 4), tag);
}

TEST(ChunkFormat, TheCommonPrefixIsTheLongestThatAllShare) {
  EXPECT_EQ(CommonPrefix({0, 0}, {kUpper, 0}), (ChunkId{.prefix = 0, .bit_count = 0}));
  EXPECT_EQ(CommonPrefix({kUpper, 0}, {kUpper | kUpper >> 1, 0}),
            (ChunkId{.prefix = kUpper, .bit_count = 1}));
  EXPECT_EQ(CommonPrefix({6, 0}, {7, 0}), (ChunkId{.prefix = 6, .bit_count = 63}));
  EXPECT_EQ(CommonPrefix({7, 0}, {7, 5}), (ChunkId{.prefix = 7, .bit_count = 64}));
}

TEST(ChunkFormat, BucketsOfNoBitsAndOfAllBitsAreWritten) {
  for (ChunkId const id : {ChunkId{}, ChunkId{.prefix = 7, .bit_count = 64}}) {
    ChunkHead head{.id = id, .entries = {{.sample = {7, 1}, .size_bytes = 1}}};
    ASSERT_TRUE(PlacePayload(head));
    auto const parsed = ParseChunkHead(EncodeChunkHead(head));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->id, id);
  }
}

TEST(ChunkFormatDeathTest, AHeadThatWasNotPlacedIsABug) {
  ChunkHead head = MakeHead();
  head.entries[0].offset += 8;
  EXPECT_DEATH(EncodeChunkHead(head), "WhatIsWrong");
}

}  // namespace
}  // namespace stokefs::cache
