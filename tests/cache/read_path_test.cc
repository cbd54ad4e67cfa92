#include "cache/read_path.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/running_clock.h"
#include "cache/digest.h"
#include "tests/cache/read_path_fixture.h"

namespace stokefs::cache {
namespace {

TEST_F(ReadPathTest, AMissIsFetchedOnceAndAHitIsAnsweredInline) {
  auto const miss = Read(kSmall, 0, 4096);
  EXPECT_FALSE(miss->Answered());
  EXPECT_NE(miss->ticket.value, 0u);
  origin_.AnswerNext();
  ASSERT_EQ(miss->Errno(), 0);
  EXPECT_EQ(miss->SizeBytes(), 1000u);
  EXPECT_TRUE(miss->RightBytes());
  EXPECT_EQ(miss->tier(), Tier::kOrigin);

  auto const hit = Read(kSmall, 0, 4096);
  ASSERT_EQ(hit->Errno(), 0);
  EXPECT_EQ(hit->ticket.value, 0u);
  EXPECT_EQ(hit->tier(), Tier::kMemory);
  EXPECT_TRUE(hit->RightBytes());
  EXPECT_EQ(origin_.AskedCount(), 1u);
  EXPECT_EQ(statistics().samples.Value(), 2u);
  EXPECT_EQ(statistics().origin.Value(), 1u);
  EXPECT_EQ(statistics().memory.Value(), 1u);
  EXPECT_EQ(statistics().bytes.Value(), 2000u);
  EXPECT_EQ(statistics().latency.Count(), 2u);
}

TEST_F(ReadPathTest, BytesComeWithTheirDigest) {
  auto const miss = Read(kSmall, 0, 4096);
  origin_.AnswerNext();
  ASSERT_EQ(miss->Errno(), 0);
  Lease const& lease = (*miss->answer)->leases.at(0);
  EXPECT_EQ(lease.digest(), DigestOf(lease.bytes()));
}

TEST_F(ReadPathTest, ManyReadersOfOneBlockShareOneFetch) {
  std::vector<std::shared_ptr<Asked>> readers;
  for (uint32_t i = 0; i < 50; ++i) readers.push_back(Read(kSmall, i * 20, 20));
  EXPECT_EQ(origin_.AskedCount(), 1u);
  EXPECT_EQ(statistics().joined.Value(), 49u);
  origin_.AnswerNext();
  for (auto const& reader : readers) {
    ASSERT_EQ(reader->Errno(), 0);
    EXPECT_EQ(reader->SizeBytes(), 20u);
    EXPECT_TRUE(reader->RightBytes());
    EXPECT_EQ(reader->tier(), Tier::kOrigin);
  }
  EXPECT_EQ(path().ParkedCount(), 0u);
}

TEST_F(ReadPathTest, ARangeOverSeveralExtentsIsOneAnswer) {
  auto const two = Read(kLarge, kExtent - 10, 20);
  EXPECT_EQ(origin_.AskedCount(), 2u);
  origin_.AnswerNext();
  EXPECT_FALSE(two->Answered());
  origin_.AnswerNext();
  ASSERT_EQ(two->Errno(), 0);
  EXPECT_EQ(two->SizeBytes(), 20u);
  EXPECT_TRUE(two->RightBytes());

  auto const all = Read(kLarge, 0, 4 * kExtent);  // two extents are in memory
  EXPECT_EQ(origin_.AskedCount(), 4u);
  origin_.AnswerAll();
  ASSERT_EQ(all->Errno(), 0);
  EXPECT_EQ(all->SizeBytes(), 3 * kExtent + 100);
  EXPECT_TRUE(all->RightBytes());
  EXPECT_EQ(all->tier(), Tier::kOrigin);

  auto const inline_all = Read(kLarge, 0, 4 * kExtent);
  ASSERT_EQ(inline_all->Errno(), 0);
  EXPECT_EQ(inline_all->tier(), Tier::kMemory);
  EXPECT_TRUE(inline_all->RightBytes());
}

TEST_F(ReadPathTest, TheLastExtentIsAsLongAsTheFile) {
  auto const last = Read(kLarge, 3 * kExtent + 90, 4096);
  EXPECT_EQ(origin_.AskedBytes(), 100u);
  origin_.AnswerNext();
  EXPECT_EQ(last->SizeBytes(), 10u);
  EXPECT_TRUE(last->RightBytes());
  EXPECT_EQ(Read(kLarge, 3 * kExtent + 99, 4096)->SizeBytes(), 1u);
}

TEST_F(ReadPathTest, NothingIsReadPastTheEnd) {
  for (uint64_t const offset : {1000u, 1001u, 1u << 20}) {
    EXPECT_EQ(Read(kSmall, offset, 10)->SizeBytes(), 0u);
  }
  EXPECT_EQ(Read(kEmpty, 0, 4096)->SizeBytes(), 0u);
  EXPECT_EQ(Read(kSmall, 0, 0)->SizeBytes(), 0u);
  EXPECT_EQ(Read(kEven, 2 * kExtent, 4096)->SizeBytes(), 0u);
  EXPECT_EQ(Read(kSmall, ~uint64_t{0}, 4096)->SizeBytes(), 0u);
  EXPECT_EQ(origin_.AskedCount(), 0u);
  Warm(kSmall, 0, 10);  // past the end of a block in memory
  EXPECT_EQ(Read(kSmall, 1000, 10)->SizeBytes(), 0u);
  EXPECT_EQ(Read(kSmall, 5000, 10)->SizeBytes(), 0u);
  EXPECT_EQ(statistics().samples.Value(), 1u);
}

TEST_F(ReadPathTest, UnknownNodesAndFoldersAreErrors) {
  EXPECT_EQ(Read(NodeId{99}, 0, 10)->Errno(), ENOENT);
  EXPECT_EQ(Read(kRootNode, 0, 10)->Errno(), EISDIR);
  EXPECT_EQ(statistics().errors.Value(), 2u);
}

TEST_F(ReadPathTest, AFailedSourceIsFollowedByTheNextAtOnce) {
  UseDiskAndOrigin();
  auto const read = Read(kSmall, 0, 10);
  uint64_t const room_bytes = memory_->Usage().reserved_bytes;
  Refuse(disk_, EIO);
  EXPECT_FALSE(read->Answered());
  EXPECT_EQ(memory_->Usage().reserved_bytes, room_bytes);  // the same room
  origin_.AnswerNext();
  ASSERT_EQ(read->Errno(), 0);
  EXPECT_TRUE(read->RightBytes());
  EXPECT_EQ(read->tier(), Tier::kOrigin);
}

TEST_F(ReadPathTest, TheLastSourcesErrorIsTheReaders) {
  UseDiskAndOrigin();
  auto const one = Read(kSmall, 0, 10);
  auto const other = Read(kSmall, 10, 10);
  Refuse(disk_, ESTALE);  // not the origin: not final
  Refuse(origin_, EACCES);
  EXPECT_EQ(one->Errno(), EACCES);
  EXPECT_EQ(other->Errno(), EACCES);
  EXPECT_EQ(memory_->Usage().used_bytes, 0u);
  auto const again = Read(kSmall, 0, 10);  // an error is not remembered
  disk_.AnswerNext();
  EXPECT_EQ(again->tier(), Tier::kDisk);
}

TEST_F(ReadPathTest, WhatTheOriginSaysOfItsOwnFileIsFinal) {
  sources_ = {{&origin_, kOriginDeadline}, {&disk_, kDiskDeadline}};
  for (int const error : {ESTALE, ENOENT}) {
    auto const read = Read(kSmall, 0, 10);
    Refuse(origin_, error);
    EXPECT_EQ(read->Errno(), error);
  }
  EXPECT_EQ(disk_.AskedCount(), 0u);
}

TEST_F(ReadPathTest, AnErrorOfOneExtentAnswersTheReadOnce) {
  auto const read = Read(kLarge, kExtent - 10, 20);
  Refuse(origin_, EIO);
  EXPECT_EQ(read->Errno(), EIO);
  origin_.AnswerNext();  // the other extent still fills memory
  EXPECT_EQ(read->done_count, 1);
  EXPECT_EQ(Read(kLarge, kExtent, 20)->Errno(), 0);
}

TEST_F(ReadPathTest, ALateSourceIsFollowedByTheNextAndItsAnswerFillsMemory) {
  UseDiskAndOrigin();
  auto const read = Read(kSmall, 0, 10);
  uint64_t const room_bytes = memory_->Usage().reserved_bytes;
  PassTime(kDiskDeadline);
  EXPECT_EQ(origin_.WaitingCount(), 1u);
  EXPECT_EQ(memory_->Usage().reserved_bytes, 2 * room_bytes);  // the late try keeps its room
  disk_.AnswerNext();
  ASSERT_EQ(read->Errno(), 0);
  EXPECT_EQ(read->tier(), Tier::kDisk);
  origin_.AnswerNext();
  EXPECT_EQ(read->done_count, 1);
  EXPECT_EQ(memory_->Usage().reserved_bytes, 0u);
  EXPECT_EQ(memory_->Usage().slot_count, 1u);
}

TEST_F(ReadPathTest, ALateErrorChangesNothing) {
  UseDiskAndOrigin();
  auto const read = Read(kSmall, 0, 10);
  PassTime(kDiskDeadline);
  Refuse(disk_, EIO);
  EXPECT_FALSE(read->Answered());
  EXPECT_EQ(origin_.AskedCount(), 1u);
  origin_.AnswerNext();
  EXPECT_EQ(read->Errno(), 0);
}

TEST_F(ReadPathTest, AnOverdueBlockFailsFastUntilItsSourceAnswers) {
  auto const first = Read(kSmall, 0, 10);
  PassTime(kOriginDeadline);
  EXPECT_EQ(first->Errno(), ETIMEDOUT);
  auto const second = Read(kSmall, 0, 10);  // the kernel's, for the same page
  EXPECT_EQ(second->Errno(), ETIMEDOUT);
  EXPECT_EQ(second->ticket.value, 0u);
  PassTime(std::chrono::hours(1));
  EXPECT_EQ(Read(kSmall, 0, 10)->Errno(), ETIMEDOUT);
  EXPECT_EQ(origin_.AskedCount(), 1u);
  EXPECT_EQ(statistics().timeouts.Value(), 3u);

  origin_.AnswerNext();
  auto const after = Read(kSmall, 0, 10);
  ASSERT_EQ(after->Errno(), 0);
  EXPECT_EQ(after->tier(), Tier::kMemory);
}

TEST_F(ReadPathTest, AnOverdueBlockIsFetchedAnewAfterALateError) {
  Read(kSmall, 0, 10);
  PassTime(kOriginDeadline);
  Refuse(origin_, ETIMEDOUT);
  auto const after = Read(kSmall, 0, 10);
  EXPECT_FALSE(after->Answered());
  origin_.AnswerNext();
  EXPECT_EQ(after->Errno(), 0);
}

TEST_F(ReadPathTest, WithTwoLateSourcesEitherAnswerRecovers) {
  UseDiskAndOrigin();
  auto const read = Read(kSmall, 0, 10);
  PassTime(kDiskDeadline);
  PassTime(kOriginDeadline);
  EXPECT_EQ(read->Errno(), ETIMEDOUT);
  Refuse(disk_, EIO);
  EXPECT_EQ(Read(kSmall, 0, 10)->Errno(), ETIMEDOUT);  // the origin still has it
  origin_.AnswerNext();
  EXPECT_EQ(Read(kSmall, 0, 10)->Errno(), 0);
}

TEST_F(ReadPathTest, AReadIsAnsweredAtItsDeadlineExactlyOnce) {
  options_.read_deadline = std::chrono::seconds(5);
  auto const read = Read(kSmall, 0, 10);
  PassTime(std::chrono::milliseconds(4999));
  EXPECT_FALSE(read->Answered());
  PassTime(std::chrono::milliseconds(1));
  EXPECT_EQ(read->Errno(), ETIMEDOUT);
  EXPECT_EQ(Read(kSmall, 0, 10)->Errno(), ETIMEDOUT);  // nobody waits any more: overdue
  PassTime(std::chrono::seconds(60));
  origin_.AnswerNext();
  EXPECT_EQ(read->done_count, 1);
  EXPECT_EQ(Read(kSmall, 0, 10)->Errno(), 0);
}

TEST_F(ReadPathTest, TimeInWhichTheProcessDidNotRunCostsNoReadItsDeadline) {
  base::RunningClock running(clock_, std::chrono::milliseconds(500));
  ReadPath path(options_, layout_, *memory_, sources_, observers_, running);
  std::vector<int> answers;
  auto const tick = [&](base::Duration after) {
    clock_.Advance(after);
    running.Tick();
    path.Tick();
  };
  path.Read({.node = kSmall, .size_bytes = 10}, [&](const base::Result<ReadReply>& reply) {
    answers.push_back(reply ? 0 : reply.error().Errno());
  });
  tick(std::chrono::milliseconds(20));
  tick(std::chrono::hours(1));  // stopped
  EXPECT_TRUE(answers.empty());
  origin_.AnswerNext();
  EXPECT_EQ(answers, std::vector{0});
}

TEST_F(ReadPathTest, ALaterReaderHasItsOwnDeadline) {
  options_.read_deadline = std::chrono::seconds(5);
  auto const early = Read(kSmall, 0, 10);
  PassTime(std::chrono::seconds(3));
  auto const late = Read(kSmall, 0, 10);
  PassTime(std::chrono::seconds(2));
  EXPECT_EQ(early->Errno(), ETIMEDOUT);
  EXPECT_FALSE(late->Answered());
  origin_.AnswerNext();
  EXPECT_EQ(late->Errno(), 0);
}

TEST_F(ReadPathTest, ACancelledReadIsInterruptedAndTheFetchGoesOn) {
  auto const one = Read(kSmall, 0, 10);
  auto const other = Read(kSmall, 0, 10);
  path().Cancel(one->ticket);
  EXPECT_EQ(one->Errno(), EINTR);
  path().Cancel(other->ticket);
  auto const joins = Read(kSmall, 0, 10);  // nobody was late: not overdue
  origin_.AnswerNext();
  EXPECT_EQ(joins->Errno(), 0);
  path().Cancel(joins->ticket);
  path().Cancel({});
  EXPECT_EQ(one->done_count, 1);
  EXPECT_EQ(joins->done_count, 1);
  EXPECT_EQ(origin_.AskedCount(), 1u);
}

TEST_F(ReadPathTest, BeyondTheBoundMissesAreRefusedAndHitsAreNot) {
  options_.parked_count_max = 3;
  Warm(kSmall, 0, 10);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_FALSE(Read(kLarge, i, 1)->Answered());
  EXPECT_EQ(Read(kLarge, 3, 1)->Errno(), ETIMEDOUT);
  EXPECT_EQ(Read(kEven, 0, 1)->Errno(), ETIMEDOUT);
  EXPECT_EQ(statistics().refused.Value(), 2u);
  EXPECT_EQ(Read(kSmall, 0, 10)->Errno(), 0);
  EXPECT_EQ(origin_.WaitingCount(), 1u);  // what was refused asked for nothing
  origin_.AnswerAll();
  EXPECT_FALSE(Read(kEven, 0, 1)->Answered());
}

TEST_F(ReadPathTest, WhatIsStuckIsListedOldestFirst) {
  Read(kSmall, 10, 10);
  clock_.Advance(std::chrono::seconds(1));
  Read(kEven, 0, 10);
  std::vector<ParkedRead> const stuck = path().Parked(10);
  ASSERT_EQ(stuck.size(), 2u);
  EXPECT_EQ(stuck[0].node, kSmall);
  EXPECT_EQ(stuck[0].offset, 10u);
  EXPECT_EQ(stuck[0].reader, ReaderId{7});
  EXPECT_EQ(stuck[0].waited, std::chrono::seconds(1));
  EXPECT_EQ(stuck[1].node, kEven);
  EXPECT_EQ(path().Parked(1).size(), 1u);
}

TEST_F(ReadPathTest, EachAnswerIsAnEvent) {
  struct Kept final : ReadObserver {
    void OnReads(std::span<const ReadEvent> some) override {
      events.insert(events.end(), some.begin(), some.end());
    }
    std::vector<ReadEvent> events;
  } kept;
  ReadEventQueue queue({.name = "events"}, kept);
  observers_ = {&queue};
  Read(kEven, 0, kExtent);
  clock_.Advance(std::chrono::milliseconds(3));
  origin_.AnswerNext();
  Read(kEven, 0, kExtent);  // ends with its block, but not with the file
  Warm(kEven, kExtent, kExtent);
  Read(kEven, kExtent, kExtent);
  Read(kSmall, 5000, 10);     // empty: no event
  Read(NodeId{99}, 0, 4096);  // an error: no event
  queue.Drain();
  ASSERT_EQ(kept.events.size(), 4u);
  EXPECT_EQ(kept.events[0].tier, Tier::kOrigin);
  EXPECT_EQ(kept.events[0].waited, std::chrono::milliseconds(3));
  EXPECT_FALSE(kept.events[0].whole_end);
  EXPECT_EQ(kept.events[1].tier, Tier::kMemory);
  EXPECT_EQ(kept.events[1].waited, base::Duration{});
  EXPECT_FALSE(kept.events[1].whole_end);
  EXPECT_TRUE(kept.events[2].whole_end);
  EXPECT_TRUE(kept.events[3].whole_end);
  EXPECT_EQ(kept.events[3].size_bytes, kExtent);
  EXPECT_EQ(kept.events[3].reader, ReaderId{7});
  path_.reset();
}

}  // namespace
}  // namespace stokefs::cache
