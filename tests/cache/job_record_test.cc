#include "cache/job_record.h"

#include <gtest/gtest.h>

namespace stokefs::cache {
namespace {

JobRead Read(bool hit) { return {.tier = hit ? Tier::kMemory : Tier::kOrigin}; }

TEST(JobRecord, CountsReadsAndHitsOfEachEpoch) {
  JobRecord record("python-7:train", "train");
  EXPECT_EQ(record.name(), "python-7:train");
  EXPECT_EQ(record.root(), "train");
  EXPECT_TRUE(record.epochs().empty());
  record.OnEpoch(100, 0);
  for (int i = 0; i < 10; ++i) record.OnRead(Read(i < 3));
  record.SetUsed(10);
  record.OnEpoch(120, 0);
  record.OnRead(Read(true));
  record.SetUsed(1);
  ASSERT_EQ(record.epochs().size(), 2u);
  EpochRecord const first = record.epochs()[0], second = record.epochs()[1];
  EXPECT_EQ(first.index, 0u);
  EXPECT_EQ(first.scope_count, 100u);
  EXPECT_EQ(first.ReadCount(), 10u);
  EXPECT_EQ(first.HitCount(), 3u);
  EXPECT_EQ(first.used_count, 10u);
  EXPECT_EQ(second.index, 1u);
  EXPECT_EQ(second.scope_count, 120u);
  EXPECT_EQ(second.ReadCount(), 1u);
  EXPECT_EQ(second.HitCount(), 1u);
}

TEST(JobRecord, ReadsOfTheOpeningAreOfTheNewEpoch) {
  JobRecord record("job", "");
  record.OnEpoch(100, 0);
  for (int i = 0; i < 50; ++i) record.OnRead(Read(true));
  for (int i = 0; i < 8; ++i) record.OnRead(Read(i % 2 == 0));  // 4 hits
  record.OnEpoch(100, 8);
  record.OnRead(Read(false));
  EXPECT_EQ(record.epochs()[0].ReadCount(), 50u);
  EXPECT_EQ(record.epochs()[0].HitCount(), 50u);
  EXPECT_EQ(record.epochs()[1].ReadCount(), 9u);
  EXPECT_EQ(record.epochs()[1].HitCount(), 4u);
}

TEST(JobRecord, AnOpeningMovesNoMoreThanTheEpochBeforeHas) {
  JobRecord record("job", "");
  record.OnEpoch(10, 0);
  for (int i = 0; i < 10; ++i) record.OnRead(Read(true));
  record.OnEpoch(10, 0);
  for (int i = 0; i < 3; ++i) record.OnRead(Read(true));
  record.OnEpoch(10, 20);
  EXPECT_EQ(record.epochs()[0].ReadCount(), 10u);
  EXPECT_EQ(record.epochs()[1].ReadCount(), 0u);
  EXPECT_EQ(record.epochs()[1].HitCount(), 0u);
  EXPECT_EQ(record.epochs()[2].ReadCount(), 3u);
}

TEST(JobRecord, ALongOpeningMovesWhatIsRemembered) {
  JobRecord record("job", "");
  record.OnEpoch(10'000, 0);
  for (int i = 0; i < 1000; ++i) record.OnRead(Read(i >= 900));
  record.OnEpoch(10'000, 5000);
  EXPECT_EQ(record.epochs()[0].ReadCount() + record.epochs()[1].ReadCount(), 1000u);
  EXPECT_EQ(record.epochs()[0].HitCount(), 0u);
  EXPECT_EQ(record.epochs()[1].HitCount(), 100u);
}

TEST(JobRecord, AnEpochUsesNoMoreSamplesThanItReads) {
  JobRecord record("job", "");
  record.OnEpoch(100, 0);
  for (int i = 0; i < 50; ++i) record.OnRead(Read(false));
  record.SetUsed(45);  // 13 of them among the 20 that turn out to be of the next
  record.OnEpoch(100, 20);
  EXPECT_EQ(record.epochs()[0].ReadCount(), 30u);
  EXPECT_LE(record.epochs()[0].used_count, 30u);
}

TEST(JobRecord, ManyEpochsKeepTheLastSixteenAndTheirNumbers) {
  JobRecord record("job", "");
  for (uint64_t epoch = 0; epoch < 1000; ++epoch) {
    record.OnEpoch(10, 0);
    record.OnRead(Read(true));
  }
  ASSERT_EQ(record.epochs().size(), 16u);
  EXPECT_EQ(record.epochs().front().index, 984u);
  EXPECT_EQ(record.epochs().back().index, 999u);
}

TEST(JobRecord, WaitsAndThoughtsGoWithTheirReads) {
  using std::chrono::milliseconds;
  JobRecord record("job", "");
  record.OnEpoch(10, 0);
  record.OnRead({.tier = Tier::kDisk, .waited = milliseconds(3), .thought = milliseconds(1)});
  record.OnRead({.tier = Tier::kOrigin, .waited = milliseconds(20), .thought = milliseconds(2)});
  record.OnRead({.tier = Tier::kOrigin, .waited = milliseconds(30), .thought = milliseconds(4)});
  record.OnEpoch(10, 1);
  EpochRecord const first = record.epochs()[0], second = record.epochs()[1];
  auto const disk = static_cast<size_t>(Tier::kDisk), origin = static_cast<size_t>(Tier::kOrigin);
  EXPECT_EQ(first.by_tier[disk].waited, milliseconds(3));
  EXPECT_EQ(first.by_tier[origin].waited, milliseconds(20));
  EXPECT_EQ(first.thought, milliseconds(3));
  EXPECT_EQ(second.by_tier[disk].read_count, 0u);
  EXPECT_EQ(second.by_tier[origin].waited, milliseconds(30));
  EXPECT_EQ(second.thought, milliseconds(4));
}

}  // namespace
}  // namespace stokefs::cache
