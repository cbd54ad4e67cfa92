// Which source is asked for a block, and what its answers lead to.
#include <gtest/gtest.h>

#include "tests/cache/read_path_fixture.h"
#include "tests/support/fake_sink.h"

namespace stokefs::cache {
namespace {

TEST_F(ReadPathTest, AFetchStartsAtTheFirstSourceThatHoldsTheBlock) {
  UseDiskAndOrigin();
  disk_.SetHolds(false);
  auto const lacked = Read(kSmall, 0, 10);
  EXPECT_EQ(disk_.AskedCount(), 0u);
  origin_.AnswerNext();
  EXPECT_EQ(lacked->tier(), Tier::kOrigin);
  disk_.SetHolds(true);
  auto const held = Read(kEven, 0, 10);
  disk_.AnswerNext();
  EXPECT_EQ(held->tier(), Tier::kDisk);
  EXPECT_EQ(origin_.AskedCount(), 1u);
}

TEST_F(ReadPathTest, TheLastSourceIsAskedWhateverItHolds) {
  UseDiskAndOrigin();
  disk_.SetHolds(false);
  origin_.SetHolds(false);
  auto const read = Read(kSmall, 0, 10);
  origin_.AnswerNext();
  EXPECT_EQ(read->Errno(), 0);
}

TEST_F(ReadPathTest, ASourceThatHasNoSuchBlockAfterAllIsFollowedByTheNext) {
  UseDiskAndOrigin();
  disk_.SetInside(std::errc::no_such_file_or_directory);
  auto const read = Read(kLarge, kExtent - 10, 20);
  EXPECT_EQ(disk_.AskedCount(), 2u);
  EXPECT_EQ(origin_.AskedCount(), 2u);
  origin_.AnswerAll();
  ASSERT_EQ(read->Errno(), 0);
  EXPECT_TRUE(read->RightBytes());
  EXPECT_EQ(read->tier(), Tier::kOrigin);
}

TEST_F(ReadPathTest, WhoWaitsForTheRoomOfAHungSourceGoesOnToTheNext) {
  UseDiskAndOrigin();
  sources_[0].fetch_bytes_max = kExtent;
  auto const hung = Read(NodeId{100}, 0, 10);
  auto const waiting = Read(NodeId{101}, 0, 10);
  ASSERT_EQ(disk_.AskedCount(), 1u);
  PassTime(kDiskDeadline);
  EXPECT_EQ(origin_.AskedCount(), 2u);
  origin_.AnswerAll();
  EXPECT_EQ(hung->Errno(), 0);
  EXPECT_EQ(waiting->Errno(), 0);
  EXPECT_EQ(disk_.AskedCount(), 1u);
}

// Each answer inside Fetch gives its room to the next fetch, which is answered inside Fetch as
// well: were they answered one inside the other, the stack would not hold them.
TEST_F(ReadPathTest, ManyAnswersInsideFetchLeaveTheStackFlat) {
  constexpr uint32_t kCount = 50'000;
  UseDiskAndOrigin();
  options_.parked_count_max = kCount + 1;
  options_.fetch_bytes_max = 1;  // one block at a time
  auto const first = Read(NodeId{100}, 0, 10);
  std::vector<std::shared_ptr<Asked>> reads;
  for (uint32_t i = 0; i < kCount; ++i) {
    layout_.size_bytes[NodeId{1000 + i}] = kExtent;
    reads.push_back(Read(NodeId{1000 + i}, 0, 10));
  }
  EXPECT_EQ(disk_.AskedCount(), 1u);
  disk_.SetInside(std::errc::no_such_file_or_directory);
  origin_.SetInside(std::errc::io_error);
  Refuse(disk_, EIO);
  EXPECT_EQ(first->Errno(), EIO);
  for (auto const& read : reads) ASSERT_EQ(read->Errno(), EIO);
}

TEST_F(ReadPathTest, TheSinkIsToldWhatTheLastSourceBroughtBeforeItsReaders) {
  testing::FakeSink sink;
  UseDiskAndOrigin();
  options_.sink = &sink;
  size_t told_count = 0;
  path().Read({.node = kSmall, .size_bytes = 10}, [&](base::Result<ReadReply>) {
    told_count = sink.ToldCount({kSmall, 0});
  });
  Refuse(disk_, EIO);
  EXPECT_EQ(sink.ToldCount(), 0u);
  origin_.AnswerNext();
  EXPECT_EQ(told_count, 1u);
  EXPECT_EQ(sink.WrongCount(), 0u);
  EXPECT_EQ(sink.LastTier(), Tier::kOrigin);

  auto const from_disk = Read(kEven, 0, 10);
  disk_.AnswerNext();
  EXPECT_EQ(from_disk->Errno(), 0);
  auto const failed = Read(NodeId{100}, 0, 10);
  Refuse(disk_, EIO);
  Refuse(origin_, EIO);
  EXPECT_EQ(failed->Errno(), EIO);
  EXPECT_EQ(sink.ToldCount(), 1u);
}

TEST_F(ReadPathTest, BytesThatComeTooLateForTheirReaderAreKeptAllTheSame) {
  testing::FakeSink sink;
  options_.sink = &sink;
  auto const read = Read(kSmall, 0, 10);
  PassTime(kOriginDeadline);
  EXPECT_EQ(read->Errno(), ETIMEDOUT);
  origin_.AnswerNext();
  EXPECT_EQ(sink.ToldCount({kSmall, 0}), 1u);
}

TEST_F(ReadPathTest, TheSinkHearsNothingAfterTheEnd) {
  testing::FakeSink sink;
  options_.sink = &sink;
  Read(kSmall, 0, 10);
  path().Shutdown(std::errc::io_error);
  origin_.AnswerNext();
  EXPECT_EQ(sink.ToldCount(), 0u);
}

TEST_F(ReadPathTest, WhileTheSinkWantsAPauseTheLastSourceIsNotAsked) {
  testing::FakeSink sink;
  UseDiskAndOrigin();
  options_.sink = &sink;
  sink.SetPaused(true);
  auto const from_disk = Read(kSmall, 0, 10);
  auto const moves_on = Read(kEven, 0, 10);
  disk_.AnswerNext();
  EXPECT_EQ(from_disk->Errno(), 0);
  Refuse(disk_, EIO);
  disk_.SetHolds(false);
  auto const starts = Read(NodeId{100}, 0, 10);
  PassTime(std::chrono::milliseconds(20));
  EXPECT_EQ(origin_.AskedCount(), 0u);
  EXPECT_EQ(memory_->Usage().reserved_bytes, 0u);
  sink.SetPaused(false);
  PassTime(std::chrono::milliseconds(20));
  EXPECT_EQ(origin_.AnswerAll(), 2u);
  EXPECT_EQ(moves_on->Errno(), 0);
  EXPECT_EQ(starts->Errno(), 0);
}

TEST_F(ReadPathTest, APauseWithoutEndCostsAReadItsDeadline) {
  testing::FakeSink sink;
  options_.sink = &sink;
  sink.SetPaused(true);
  auto const read = Read(kSmall, 0, 10);
  PassTime(kReadDeadline);
  EXPECT_EQ(read->Errno(), ETIMEDOUT);
}

}  // namespace
}  // namespace stokefs::cache
