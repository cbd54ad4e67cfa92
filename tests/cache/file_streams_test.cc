#include "cache/file_streams.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "tests/support/fake_layout.h"

namespace stokefs::cache {
namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr NodeId kTar{2};    // 1,000 extents
constexpr NodeId kShort{3};  // 5 extents and a bit
constexpr NodeId kSmall{4};

class FileStreamsTest : public ::testing::Test {
 protected:
  FileStreamsTest() {
    layout_.size_bytes = {{kTar, 1000 * kMiB}, {kShort, 5 * kMiB + 1}, {kSmall, 1000}};
  }
  FileStreams& streams() {
    if (!streams_) streams_.emplace(options_, layout_);
    return *streams_;
  }
  struct Where {
    NodeId node = kTar;
    uint32_t reader = 1;
    uint64_t offset = 0;
    uint32_t size_bytes = 128u << 10;
  };
  std::vector<uint64_t> Read(Where where) {
    std::vector<uint64_t> extents;
    for (BlockKey const key : streams().OnRead({.reader = {where.reader},
                              .node = where.node,
                              .offset = where.offset,
                              .size_bytes = where.size_bytes,
                              .whole_end = where.node == kSmall,
                              .when = now_})) {
      EXPECT_EQ(key.node, where.node);
      extents.push_back(key.index);
    }
    return extents;
  }
  // Reads one whole extent in pieces of 128 KiB.
  std::vector<uint64_t> ReadExtent(uint64_t extent, uint32_t reader = 1, NodeId node = kTar) {
    std::vector<uint64_t> extents;
    for (uint64_t at = 0; at < kMiB; at += 128u << 10) {
      for (uint64_t const wished :
           Read({.node = node, .reader = reader, .offset = extent * kMiB + at})) {
        extents.push_back(wished);
      }
    }
    return extents;
  }
  static std::vector<uint64_t> FromTo(uint64_t first, uint64_t end) {
    std::vector<uint64_t> extents;
    for (uint64_t i = first; i < end; ++i) extents.push_back(i);
    return extents;
  }

  FileStreams::Options options_;
  testing::FakeLayout layout_;
  std::optional<FileStreams> streams_;
  base::TimePoint now_{std::chrono::seconds(100)};
};

TEST_F(FileStreamsTest, TheWindowGrowsFromTwoToSixteenMebibyte) {
  EXPECT_EQ(ReadExtent(0), FromTo(1, 3));
  EXPECT_EQ(ReadExtent(1), FromTo(3, 6));
  EXPECT_EQ(ReadExtent(2), FromTo(6, 11));
  EXPECT_EQ(ReadExtent(3), FromTo(11, 20));
  EXPECT_EQ(ReadExtent(4), FromTo(20, 21));
  EXPECT_EQ(ReadExtent(5), FromTo(21, 22));
}

TEST_F(FileStreamsTest, AStreamStartsAnywhereAndEndsWithItsFile) {
  EXPECT_EQ(ReadExtent(500), FromTo(501, 503));
  EXPECT_EQ(ReadExtent(3, 1, kShort), FromTo(4, 6));
  EXPECT_TRUE(ReadExtent(4, 1, kShort).empty());
}

TEST_F(FileStreamsTest, LargeReadsAreAStreamToo) {
  EXPECT_TRUE(Read({.offset = 0, .size_bytes = kMiB}).empty());
  EXPECT_EQ(Read({.offset = kMiB, .size_bytes = 2 * kMiB}), FromTo(3, 5));
}

TEST_F(FileStreamsTest, WhatTheKernelPutsOutOfOrderIsOneStream) {
  constexpr uint32_t kPiece = 128u << 10;
  std::vector<uint64_t> wished;
  for (uint64_t at = 0; at < 4 * kMiB; at += 2 * kPiece) {
    for (uint64_t const offset : {at + kPiece, at}) {
      for (uint64_t const extent : Read({.offset = offset})) wished.push_back(extent);
    }
  }
  EXPECT_EQ(wished, FromTo(1, 20));
}

TEST_F(FileStreamsTest, AJumpBackStartsAnew) {
  for (uint64_t i = 0; i < 10; ++i) ReadExtent(i);
  EXPECT_TRUE(Read({.offset = 3 * kMiB}).empty());
  EXPECT_EQ(ReadExtent(3), FromTo(4, 6));
}

TEST_F(FileStreamsTest, APieceReadAgainAndAgainIsNoStream) {
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(Read({.offset = 5 * kMiB}).empty());
}

TEST_F(FileStreamsTest, ManyStreamsInOneFileAreKeptApart) {
  for (uint32_t reader = 1; reader <= 8; ++reader) Read({kTar, reader, reader * 100 * kMiB});
  for (uint32_t reader = 1; reader <= 8; ++reader) {
    std::vector<uint64_t> const wished = ReadExtent(reader * 100, reader);
    EXPECT_EQ(wished, FromTo(reader * 100 + 1, reader * 100 + 3));
  }
}

TEST_F(FileStreamsTest, StreamsShareTheBytesWhileTheyAreRead) {
  options_.all_bytes_max = 8 * kMiB;
  for (uint64_t i = 0; i < 10; ++i) ReadExtent(i, 1);
  for (uint64_t i = 500; i < 503; ++i) ReadExtent(i, 2);
  EXPECT_EQ(ReadExtent(503, 2), FromTo(507, 508));  // 4 of the 8, for two streams
  now_ += std::chrono::seconds(2);
  EXPECT_EQ(ReadExtent(504, 2), FromTo(508, 513));  // the other one rests
}

TEST_F(FileStreamsTest, RandomReadsAreNoStream) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(Read({.offset = random() % (1000 * kMiB), .size_bytes = 4096}).empty());
  }
}

TEST_F(FileStreamsTest, RandomReadsOfAFileOfFewExtentsAreNoStream) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(
        Read({.node = kShort, .offset = random() % (5 * kMiB), .size_bytes = 4096}).empty());
  }
}

TEST_F(FileStreamsTest, RandomReadersDriveOutNobodysStream) {
  std::mt19937_64 random(3);
  ReadExtent(0, 1);
  for (uint64_t extent = 1; extent < 20; ++extent) {
    for (uint32_t reader = 2; reader < 10; ++reader) {
      for (int i = 0; i < 10; ++i) {
        Read({.reader = reader, .offset = random() % 1000 * kMiB, .size_bytes = 4096});
      }
    }
    EXPECT_FALSE(ReadExtent(extent, 1).empty()) << extent;
  }
}

TEST_F(FileStreamsTest, SmallFilesAreNoStreams) {
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Read({.node = kSmall, .size_bytes = 1000}).empty());
}

}  // namespace
}  // namespace stokefs::cache
