// The read path when memory is short, sources are busy, or the mount ends.
#include <gtest/gtest.h>

#include "tests/cache/read_path_fixture.h"

namespace stokefs::cache {
namespace {

TEST_F(ReadPathTest, AFetchWaitsForRoomAndProceeds) {
  std::vector<Reservation> rooms = FillArena();
  auto const first = Read(kSmall, 0, 10);
  auto const second = Read(kEven, 0, 10);
  path().Tick();
  EXPECT_EQ(origin_.AskedCount(), 0u);
  rooms.clear();
  path().Tick();
  ASSERT_EQ(origin_.WaitingCount(), 2u);
  EXPECT_EQ(origin_.Waiting()[0].first.node, kSmall);  // in the order of arrival
  origin_.AnswerAll();
  EXPECT_EQ(first->Errno(), 0);
  EXPECT_EQ(second->Errno(), 0);
}

TEST_F(ReadPathTest, AFetchThatNeverGotRoomIsOverdueForASecond) {
  std::vector<Reservation> rooms = FillArena();
  auto const read = Read(kSmall, 0, 10);
  PassTime(kReadDeadline);
  EXPECT_EQ(read->Errno(), ETIMEDOUT);
  EXPECT_EQ(Read(kSmall, 0, 10)->Errno(), ETIMEDOUT);
  rooms.clear();
  PassTime(std::chrono::seconds(1));
  EXPECT_EQ(origin_.AskedCount(), 0u);
  auto const later = Read(kSmall, 0, 10);
  origin_.AnswerNext();
  EXPECT_EQ(later->Errno(), 0);
}

TEST_F(ReadPathTest, TheEndOfAFetchMakesRoomForTheNext) {
  std::vector<Reservation> rooms = FillArena();
  rooms.pop_back();
  auto const first = Read(NodeId{100}, 0, 10);
  auto const second = Read(NodeId{101}, 0, 10);
  EXPECT_EQ(origin_.AskedCount(), 1u);
  Refuse(origin_, EIO);  // no tick
  EXPECT_EQ(first->Errno(), EIO);
  EXPECT_EQ(origin_.AskedCount(), 2u);
  origin_.AnswerNext();
  EXPECT_EQ(second->Errno(), 0);
}

TEST_F(ReadPathTest, BytesInFlightAreBounded) {
  sources_[0].fetch_bytes_max = 3 * kExtent;
  std::vector<std::shared_ptr<Asked>> reads;
  for (uint32_t i = 0; i < 10; ++i) reads.push_back(Read(NodeId{100 + i}, 0, 10));
  EXPECT_EQ(origin_.WaitingCount(), 3u);
  for (uint32_t i = 0; i < 7; ++i) {
    origin_.AnswerNext();
    EXPECT_EQ(origin_.WaitingCount(), 3u);
    EXPECT_LE(memory_->Usage().reserved_bytes, 3 * kExtent);
  }
  origin_.AnswerAll();
  for (auto const& read : reads) EXPECT_EQ(read->Errno(), 0);
}

TEST_F(ReadPathTest, OneBlockMayFlyWhateverTheBound) {
  options_.fetch_bytes_max = 1;
  auto const first = Read(NodeId{100}, 0, 10);
  auto const second = Read(NodeId{101}, 0, 10);
  EXPECT_EQ(origin_.WaitingCount(), 1u);
  origin_.AnswerNext();
  origin_.AnswerNext();
  EXPECT_EQ(first->Errno(), 0);
  EXPECT_EQ(second->Errno(), 0);
}

TEST_F(ReadPathTest, LateTriesCountForTheSourceThatTheyAreLateAt) {
  UseDiskAndOrigin();
  sources_[0].fetch_bytes_max = 2 * kExtent;
  Read(NodeId{100}, 0, 10);
  Read(NodeId{101}, 0, 10);
  PassTime(kDiskDeadline);
  EXPECT_EQ(origin_.WaitingCount(), 2u);
  Read(NodeId{102}, 0, 10);
  EXPECT_EQ(disk_.AskedCount(), 2u);  // the disk holds all that may fly there
  Refuse(disk_, EIO);
  EXPECT_EQ(disk_.AskedCount(), 3u);
}

TEST_F(ReadPathTest, ASlowSourceKeepsNoOtherWaiting) {
  UseDiskAndOrigin();
  for (auto& source : sources_) source.fetch_bytes_max = 3 * kExtent;
  disk_.SetHolds(false);
  for (uint32_t i = 0; i < 5; ++i) Read(NodeId{100 + i}, 0, 10);
  EXPECT_EQ(origin_.WaitingCount(), 3u);
  disk_.SetHolds(true);
  for (uint32_t i = 10; i < 20; ++i) {  // as often as one likes
    auto const read = Read(NodeId{100 + i}, 0, 10);
    disk_.AnswerNext();
    EXPECT_EQ(read->Errno(), 0);
  }
  for (uint32_t i = 20; i < 25; ++i) Read(NodeId{100 + i}, 0, 10);
  EXPECT_EQ(disk_.WaitingCount(), 3u);
  origin_.AnswerNext();  // and the other way round
  EXPECT_EQ(origin_.AskedCount(), 4u);
}

TEST_F(ReadPathTest, AFetchThatMovesOnWaitsForTheNextSourcesBudget) {
  UseDiskAndOrigin();
  sources_[1].fetch_bytes_max = 1;
  auto const first = Read(NodeId{100}, 0, 10);
  auto const second = Read(NodeId{101}, 0, 10);
  Refuse(disk_, EIO);
  Refuse(disk_, EIO);
  EXPECT_EQ(origin_.WaitingCount(), 1u);
  EXPECT_EQ(memory_->Usage().reserved_bytes, kExtent);  // who waits holds nothing
  origin_.AnswerNext();
  EXPECT_EQ(first->Errno(), 0);
  origin_.AnswerNext();
  EXPECT_EQ(second->Errno(), 0);
}

TEST_F(ReadPathTest, WhoMovesOnTakesItsTurnByItsAge) {
  UseDiskAndOrigin();
  sources_[1].fetch_bytes_max = 1;
  Read(NodeId{100}, 0, 10);  // the oldest, at the disk
  disk_.SetHolds(false);
  Read(NodeId{101}, 0, 10);
  Read(NodeId{102}, 0, 10);
  Refuse(disk_, EIO);
  origin_.AnswerNext();
  ASSERT_EQ(origin_.WaitingCount(), 1u);
  EXPECT_EQ(origin_.Waiting()[0].first.node, NodeId{100});
}

TEST_F(ReadPathTest, AllSourcesTogetherHaveABudget) {
  UseDiskAndOrigin();
  options_.fetch_bytes_max = 4 * kExtent;
  for (auto& source : sources_) source.fetch_bytes_max = 3 * kExtent;
  for (uint32_t i = 0; i < 3; ++i) Read(NodeId{100 + i}, 0, 10);
  disk_.SetHolds(false);
  for (uint32_t i = 3; i < 6; ++i) Read(NodeId{100 + i}, 0, 10);
  EXPECT_EQ(disk_.WaitingCount(), 3u);
  EXPECT_EQ(origin_.WaitingCount(), 1u);
  disk_.AnswerNext();
  EXPECT_EQ(origin_.WaitingCount(), 2u);
}

TEST_F(ReadPathTest, AFileAboveTheBudgetIsReadInExtents) {
  for (uint64_t offset = 0; offset < 100 * kExtent; offset += kExtent / 2) {
    auto const read = Read(kHuge, offset, kExtent / 2);
    origin_.AnswerAll();
    ASSERT_EQ(read->Errno(), 0);
    EXPECT_TRUE(read->RightBytes());
  }
  EXPECT_EQ(origin_.AskedCount(), 100u);
  EXPECT_LE(memory_->Usage().used_bytes, memory_->Usage().budget_bytes);
}

TEST_F(ReadPathTest, ABlockAboveTheBudgetIsRefused) {
  options_.extent_bytes = 2u << 20;
  EXPECT_EQ(Read(kHuge, 0, 10)->Errno(), ENOMEM);
  EXPECT_EQ(origin_.AskedCount(), 0u);
}

// Two blocks of room: each read holds one block, and lacks one that needs the other's room.
TEST_F(ReadPathTest, ReadsThatHoldEachOthersRoomEndAllTheSame) {
  std::vector<Reservation> rooms = FillArena();
  rooms.resize(rooms.size() - 2);
  Warm(kLarge, kExtent, 10);
  Warm(kEven, kExtent, 10);
  std::optional<Lease> one_stays = memory_->Peek({kLarge, 1});
  std::optional<Lease> other_stays = memory_->Peek({kEven, 1});
  auto const one = Read(kLarge, kExtent - 10, 20);
  auto const other = Read(kEven, kExtent - 10, 20);
  one_stays.reset();
  other_stays.reset();
  EXPECT_EQ(origin_.WaitingCount(), 0u);
  path().Tick();
  EXPECT_EQ(origin_.WaitingCount(), 2u);  // one gave its lease up for a copy
  origin_.AnswerAll();
  for (auto const& read : {one, other}) {
    ASSERT_EQ(read->Errno(), 0);
    EXPECT_EQ(read->SizeBytes(), 20u);
    EXPECT_TRUE(read->RightBytes());
  }
  EXPECT_EQ(origin_.AskedCount(), 4u);  // nothing was fetched twice
}

TEST_F(ReadPathTest, ABusyLastSourceIsAskedAgainUntilTheDeadline) {
  UseDiskAndOrigin();
  disk_.SetBusy(true);
  origin_.SetBusy(true);
  auto const read = Read(kSmall, 0, 10);
  EXPECT_EQ(disk_.AskedCount(), 1u);
  EXPECT_EQ(origin_.AskedCount(), 1u);
  PassTime(std::chrono::milliseconds(5));
  EXPECT_EQ(origin_.AskedCount(), 2u);
  EXPECT_FALSE(read->Answered());
  origin_.SetBusy(false);
  PassTime(std::chrono::milliseconds(5));
  origin_.AnswerNext();
  EXPECT_EQ(read->Errno(), 0);

  origin_.SetBusy(true);
  auto const never = Read(kEven, 0, 10);
  PassTime(kOriginDeadline);
  EXPECT_EQ(never->Errno(), ETIMEDOUT);
  EXPECT_EQ(Read(kEven, 0, 10)->Errno(), ETIMEDOUT);
  EXPECT_EQ(memory_->Usage().reserved_bytes, 0u);
  origin_.SetBusy(false);
  PassTime(std::chrono::seconds(1));
  EXPECT_FALSE(Read(kEven, 0, 10)->Answered());
}

TEST_F(ReadPathTest, ShutdownAnswersParkedReadsAndAllLaterOnes) {
  Warm(kSmall, 0, 10);
  auto const parked = Read(kLarge, kExtent - 10, 20);
  path().Shutdown(std::errc::io_error);
  EXPECT_EQ(parked->Errno(), EIO);
  EXPECT_EQ(Read(kEven, 0, 10)->Errno(), EIO);
  EXPECT_EQ(Read(kSmall, 0, 10)->Errno(), EIO);
  origin_.AnswerAll();
  EXPECT_EQ(parked->done_count, 1);
  EXPECT_EQ(memory_->Usage().reserved_bytes, 0u);
  path().Shutdown(std::errc::interrupted);
  path().Tick();
}

TEST_F(ReadPathTest, SourcesMayAnswerAfterTheReadPathIsGone) {
  auto const parked = Read(kSmall, 0, 10);
  auto const other = Read(kEven, 0, 10);
  path_.reset();
  EXPECT_EQ(parked->Errno(), ECANCELED);
  origin_.AnswerNext();
  Refuse(origin_, EIO);
  EXPECT_EQ(parked->done_count, 1);
  EXPECT_EQ(other->done_count, 1);
  EXPECT_EQ(memory_->Usage().reserved_bytes, 0u);
}

TEST_F(ReadPathTest, LateBytesServeALaterFetchOfTheSameBlock) {
  UseDiskAndOrigin();
  auto const first = Read(kSmall, 0, 10);
  PassTime(kDiskDeadline);
  Refuse(origin_, EIO);
  EXPECT_EQ(first->Errno(), EIO);
  auto const second = Read(kSmall, 0, 10);  // a fetch of its own
  EXPECT_EQ(disk_.WaitingCount(), 2u);
  disk_.AnswerNext();  // the first fetch's
  ASSERT_EQ(second->Errno(), 0);
  EXPECT_TRUE(second->RightBytes());
  disk_.AnswerNext();
  EXPECT_EQ(second->done_count, 1);
  EXPECT_EQ(memory_->Usage().slot_count, 1u);
}

}  // namespace
}  // namespace stokefs::cache
