#include "base/read_queue.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <random>

namespace stokefs::base {
namespace {

constexpr size_t kPiece = 128u << 10;
constexpr uint64_t kKiB = 1024;

struct Answer {
  int count = 0;
  int error = 0;
};

using Reads = std::vector<BlockRead>;  // braces keep the order of the calls in them

class ReadQueueTest : public ::testing::Test {
 protected:
  static std::shared_ptr<const ReadableFile> File(bool is_direct) {
    return std::make_shared<const ReadableFile>(ReadableFile{.fd = {}, .is_direct = is_direct});
  }

  BlockRead Read(std::shared_ptr<const ReadableFile> file, uint64_t offset, size_t bytes,
                 ReadPriority priority = ReadPriority::kDemand) {
    memory_.emplace_back(bytes);
    answers_.push_back(std::make_unique<Answer>());
    return {.file = std::move(file),
            .offset = offset,
            .into = memory_.back(),
            .priority = priority,
            .done = [answer = answers_.back().get()](const Status& status) {
              ++answer->count;
              answer->error = status ? 0 : status.error().Errno();
            }};
  }

  // Takes a piece and expects it to be this range.
  DevicePiece ExpectPiece(uint64_t offset, size_t bytes) {
    auto piece = queue_.Take();
    EXPECT_TRUE(piece.has_value());
    if (!piece) return {};
    EXPECT_EQ(piece->offset, offset);
    EXPECT_EQ(piece->bytes, bytes);
    return *piece;
  }

  void Finish(const DevicePiece& piece, const Result<size_t>& got) {
    std::vector<AnsweredRead> answered;
    queue_.Finish(piece, got, answered);
    TellAll(std::move(answered));
  }

  std::deque<std::vector<std::byte>> memory_;
  std::vector<std::unique_ptr<Answer>> answers_;  // in the order of Read
  ReadQueue queue_{{.reads_max = 100, .piece_bytes_max = kPiece, .background_pieces_max = 2}};
};

TEST_F(ReadQueueTest, ADirectFileIsReadOnTheGrid) {
  EXPECT_TRUE(queue_.Add(Reads{Read(File(true), 5000, 100)}).empty());
  DevicePiece const piece = ExpectPiece(4096, 4096);
  EXPECT_EQ(piece.bytes_needed, 5100u - 4096u);
  EXPECT_FALSE(queue_.Take());
}

TEST_F(ReadQueueTest, AnotherFileIsReadAsAsked) {
  EXPECT_TRUE(queue_.Add(Reads{Read(File(false), 5000, 100)}).empty());
  DevicePiece const piece = ExpectPiece(5000, 100);
  EXPECT_EQ(ReadQueue::PlaceOf(piece).data(), memory_[0].data());
  EXPECT_EQ(ReadQueue::PlaceOf(piece).size(), 100u);
}

TEST_F(ReadQueueTest, WhatIsLargerThanAPieceBecomesSeveral) {
  EXPECT_TRUE(queue_.Add(Reads{Read(File(true), 4000, 2 * kPiece)}).empty());
  DevicePiece const first = ExpectPiece(0, kPiece);
  DevicePiece const second = ExpectPiece(kPiece, kPiece);
  DevicePiece const third = ExpectPiece(2 * kPiece, 4096);
  EXPECT_FALSE(queue_.Take());
  Finish(second, kPiece);
  Finish(third, 4096);
  EXPECT_EQ(answers_[0]->count, 0);
  Finish(first, kPiece);
  EXPECT_EQ(answers_[0]->count, 1);
  EXPECT_EQ(answers_[0]->error, 0);
  EXPECT_EQ(queue_.reads(), 0u);
  EXPECT_EQ(queue_.bytes(), 0u);
}

TEST_F(ReadQueueTest, RangesThatLieCloseTogetherBecomeOnePiece) {
  auto const file = File(true);
  EXPECT_TRUE(queue_
                  .Add(Reads{Read(file, 80 * kKiB, 8 * kKiB), Read(file, 0, 8 * kKiB),
                             Read(file, 8 * kKiB, 8 * kKiB)})
                  .empty());
  DevicePiece const piece = ExpectPiece(0, 88 * kKiB);  // a gap of 64 KiB, not of more
  EXPECT_FALSE(queue_.Take());
  Finish(piece, 88 * kKiB);
  for (auto const& answer : answers_) EXPECT_EQ(answer->count, 1);
}

TEST_F(ReadQueueTest, RangesFarApartStayApart) {
  auto const file = File(true);
  EXPECT_TRUE(queue_.Add(Reads{Read(file, 0, 8 * kKiB), Read(file, 73 * kKiB, kKiB)}).empty());
  ExpectPiece(0, 8 * kKiB);
  ExpectPiece(72 * kKiB, 4 * kKiB);
}

TEST_F(ReadQueueTest, ReadsOfTwoFilesOrCallsOrPrioritiesStayApart) {
  auto const file = File(true);
  EXPECT_TRUE(queue_
                  .Add(Reads{Read(file, 0, 4096), Read(File(true), 4096, 4096),
                             Read(file, 8192, 4096, ReadPriority::kBackground)})
                  .empty());
  EXPECT_TRUE(queue_.Add(Reads{Read(file, 4096, 4096)}).empty());
  ExpectPiece(0, 4096);
  ExpectPiece(4096, 4096);
  ExpectPiece(4096, 4096);
  ExpectPiece(8192, 4096);
}

TEST_F(ReadQueueTest, AGapAtTheEndOfAPieceIsNotRead) {
  auto const file = File(true);
  EXPECT_TRUE(
      queue_.Add(Reads{Read(file, 0, 100 * kKiB), Read(file, 160 * kKiB, 8 * kKiB)}).empty());
  ExpectPiece(0, 100 * kKiB);
  ExpectPiece(160 * kKiB, 8 * kKiB);
}

TEST_F(ReadQueueTest, DemandComesFirst) {
  EXPECT_TRUE(queue_.Add(Reads{Read(File(true), 0, 4096, ReadPriority::kBackground)}).empty());
  EXPECT_TRUE(queue_.Add(Reads{Read(File(true), 8192, 4096)}).empty());
  ExpectPiece(8192, 4096);
  ExpectPiece(0, 4096);
}

TEST_F(ReadQueueTest, BackgroundHoldsNoMorePiecesThanItMay) {
  EXPECT_TRUE(
      queue_.Add(Reads{Read(File(true), 0, 3 * kPiece, ReadPriority::kBackground)}).empty());
  DevicePiece const first = ExpectPiece(0, kPiece);
  ExpectPiece(kPiece, kPiece);
  EXPECT_FALSE(queue_.CanTake());
  EXPECT_FALSE(queue_.Take());
  EXPECT_TRUE(queue_.Add(Reads{Read(File(true), 0, 4096)}).empty());
  ExpectPiece(0, 4096);
  Finish(first, kPiece);
  ExpectPiece(2 * kPiece, kPiece);
}

TEST_F(ReadQueueTest, WhatFindsNoRoomIsHandedBack) {
  ReadQueue small({.reads_max = 2, .piece_bytes_max = kPiece, .background_pieces_max = 1});
  auto const file = File(true);
  auto const refused = small.Add(Reads{Read(file, 0, 1), Read(file, 10, 1), Read(file, 20, 1)});
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].offset, 20u);
  EXPECT_EQ(small.Add(Reads{Read(file, 30, 1)}).size(), 1u);
}

TEST_F(ReadQueueTest, AnErrorReachesOnlyThoseWhoseBytesItCost) {
  auto const file = File(false);
  EXPECT_TRUE(
      queue_.Add(Reads{Read(file, 0, 100), Read(file, 100, kPiece), Read(file, kPiece + 100, 10)})
          .empty());
  DevicePiece const first = ExpectPiece(0, kPiece);
  DevicePiece const second = ExpectPiece(kPiece, 110);
  Finish(second, FailErrno(EIO, "disk"));
  Finish(first, kPiece);
  EXPECT_EQ(answers_[0]->error, 0);
  EXPECT_EQ(answers_[1]->error, EIO);
  EXPECT_EQ(answers_[2]->error, EIO);
  for (auto const& answer : answers_) EXPECT_EQ(answer->count, 1);
}

TEST_F(ReadQueueTest, AFileThatEndsTooEarlyIsEBADMSG) {
  auto const file = File(true);
  EXPECT_TRUE(queue_.Add(Reads{Read(file, 0, 5000), Read(file, 5000, 1)}).empty());
  Finish(ExpectPiece(0, 8192), 5000);
  EXPECT_EQ(answers_[0]->error, 0);
  EXPECT_EQ(answers_[1]->error, EBADMSG);
}

TEST_F(ReadQueueTest, CancellingWaitsForPiecesUnderWay) {
  auto const file = File(true);
  EXPECT_TRUE(queue_.Add(Reads{Read(file, 0, 2 * kPiece), Read(File(true), 0, 1)}).empty());
  DevicePiece const first = ExpectPiece(0, kPiece);
  std::vector<AnsweredRead> answered;
  queue_.CancelWaiting(std::errc::operation_canceled, answered);
  TellAll(std::move(answered));
  EXPECT_EQ(answers_[0]->count, 0);  // the kernel still writes to its memory
  EXPECT_EQ(answers_[1]->error, ECANCELED);
  EXPECT_FALSE(queue_.Take());
  Finish(first, kPiece);
  EXPECT_EQ(answers_[0]->count, 1);
  EXPECT_EQ(answers_[0]->error, ECANCELED);
  EXPECT_EQ(queue_.reads(), 0u);
}

// Random reads of two files in memory, pieces ended in any order, some with errors.
TEST_F(ReadQueueTest, RandomReadsGetTheirBytesOrTheirError) {
  uint64_t const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  auto const below = [&](uint64_t bound) { return random() % bound; };
  std::vector<std::byte> content(1u << 20);
  for (std::byte& byte : content) byte = static_cast<std::byte>(random());
  for (int round = 0; round < 200; ++round) {
    ReadQueue queue({.reads_max = 1000, .piece_bytes_max = 16u << 10, .background_pieces_max = 3});
    memory_.clear();
    answers_.clear();
    std::vector<uint64_t> offsets;
    std::shared_ptr<const ReadableFile> const files[] = {File(true), File(false)};
    std::vector<BlockRead> reads;
    for (uint64_t i = below(20) + 1; i > 0; --i) {
      offsets.push_back(below(content.size()));
      reads.push_back(Read(files[below(2)], offsets.back(), below(60000) + 1,
                           ReadPriority{static_cast<uint8_t>(below(2))}));
    }
    EXPECT_TRUE(queue.Add(std::move(reads)).empty());
    uint64_t const bad_byte = below(4) == 0 ? below(content.size()) : ~uint64_t{0};
    std::vector<DevicePiece> under_way;
    std::vector<AnsweredRead> answered;
    while (queue.reads() > 0) {
      if (auto piece = below(3) > 0 ? queue.Take() : std::nullopt) under_way.push_back(*piece);
      if (under_way.empty() || below(2) == 0) continue;
      std::swap(under_way[below(under_way.size())], under_way.back());
      DevicePiece const piece = under_way.back();
      under_way.pop_back();
      if (piece.offset <= bad_byte && bad_byte < piece.offset + piece.bytes) {
        queue.Finish(piece, FailErrno(EIO, "disk"), answered);
        continue;
      }
      size_t const there = content.size() - std::min<size_t>(piece.offset, content.size());
      auto const bytes =
          std::span<const std::byte>(content).last(there).first(std::min(there, piece.bytes));
      auto const place = ReadQueue::PlaceOf(piece);
      if (place.empty()) {
        ReadQueue::CopyOut(piece, bytes);
      } else {
        std::memcpy(place.data(), bytes.data(), bytes.size());
      }
      queue.Finish(piece, bytes.size(), answered);
    }
    TellAll(std::move(answered));
    for (size_t i = 0; i < answers_.size(); ++i) {
      ASSERT_EQ(answers_[i]->count, 1);
      uint64_t const end = offsets[i] + memory_[i].size();
      // A piece that failed may have begun before the read did.
      if (answers_[i]->error == EIO) {
        ASSERT_NE(bad_byte, ~uint64_t{0});
      } else if (end > content.size()) {
        ASSERT_EQ(answers_[i]->error, EBADMSG);
      } else {
        ASSERT_EQ(answers_[i]->error, 0);
        ASSERT_FALSE(offsets[i] <= bad_byte && bad_byte < end);
        ASSERT_EQ(std::memcmp(content.data() + offsets[i], memory_[i].data(), memory_[i].size()),
                  0);
      }
    }
  }
}

}  // namespace
}  // namespace stokefs::base
