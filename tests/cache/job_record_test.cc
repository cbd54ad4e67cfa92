#include "cache/job_record.h"

#include <gtest/gtest.h>

namespace stokefs::cache {
namespace {

TEST(JobRecord, CountsReadsAndHitsOfEachEpoch) {
  JobRecord record("python-7:train", "train");
  EXPECT_EQ(record.name(), "python-7:train");
  EXPECT_EQ(record.root(), "train");
  EXPECT_TRUE(record.epochs().empty());
  record.OnEpoch(100, 0);
  for (int i = 0; i < 10; ++i) record.OnRead(i < 3);
  record.SetUsed(10);
  record.OnEpoch(120, 0);
  record.OnRead(true);
  record.SetUsed(1);
  ASSERT_EQ(record.epochs().size(), 2u);
  EpochRecord const first = record.epochs()[0], second = record.epochs()[1];
  EXPECT_EQ(first.index, 0u);
  EXPECT_EQ(first.scope_count, 100u);
  EXPECT_EQ(first.read_count, 10u);
  EXPECT_EQ(first.hit_count, 3u);
  EXPECT_EQ(first.used_count, 10u);
  EXPECT_EQ(second.index, 1u);
  EXPECT_EQ(second.scope_count, 120u);
  EXPECT_EQ(second.read_count, 1u);
  EXPECT_EQ(second.hit_count, 1u);
}

TEST(JobRecord, ReadsOfTheOpeningAreOfTheNewEpoch) {
  JobRecord record("job", "");
  record.OnEpoch(100, 0);
  for (int i = 0; i < 50; ++i) record.OnRead(true);
  for (int i = 0; i < 8; ++i) record.OnRead(i % 2 == 0);  // 4 hits
  record.OnEpoch(100, 8);
  record.OnRead(false);
  EXPECT_EQ(record.epochs()[0].read_count, 50u);
  EXPECT_EQ(record.epochs()[0].hit_count, 50u);
  EXPECT_EQ(record.epochs()[1].read_count, 9u);
  EXPECT_EQ(record.epochs()[1].hit_count, 4u);
}

TEST(JobRecord, AnOpeningMovesNoMoreThanTheEpochBeforeHas) {
  JobRecord record("job", "");
  record.OnEpoch(10, 0);
  for (int i = 0; i < 10; ++i) record.OnRead(true);
  record.OnEpoch(10, 0);
  for (int i = 0; i < 3; ++i) record.OnRead(true);
  record.OnEpoch(10, 20);
  EXPECT_EQ(record.epochs()[0].read_count, 10u);
  EXPECT_EQ(record.epochs()[1].read_count, 0u);
  EXPECT_EQ(record.epochs()[1].hit_count, 0u);
  EXPECT_EQ(record.epochs()[2].read_count, 3u);
}

TEST(JobRecord, ALongOpeningMovesWhatIsRemembered) {
  JobRecord record("job", "");
  record.OnEpoch(10'000, 0);
  for (int i = 0; i < 1000; ++i) record.OnRead(i >= 900);
  record.OnEpoch(10'000, 5000);
  EXPECT_EQ(record.epochs()[0].read_count + record.epochs()[1].read_count, 1000u);
  EXPECT_EQ(record.epochs()[0].hit_count, 0u);
  EXPECT_EQ(record.epochs()[1].hit_count, 100u);
}

TEST(JobRecord, AnEpochUsesNoMoreSamplesThanItReads) {
  JobRecord record("job", "");
  record.OnEpoch(100, 0);
  for (int i = 0; i < 50; ++i) record.OnRead(false);
  record.SetUsed(45);  // 13 of them among the 20 that turn out to be of the next
  record.OnEpoch(100, 20);
  EXPECT_EQ(record.epochs()[0].read_count, 30u);
  EXPECT_LE(record.epochs()[0].used_count, 30u);
}

TEST(JobRecord, ManyEpochsKeepTheLastSixteenAndTheirNumbers) {
  JobRecord record("job", "");
  for (uint64_t epoch = 0; epoch < 1000; ++epoch) {
    record.OnEpoch(10, 0);
    record.OnRead(true);
  }
  ASSERT_EQ(record.epochs().size(), 16u);
  EXPECT_EQ(record.epochs().front().index, 984u);
  EXPECT_EQ(record.epochs().back().index, 999u);
}

}  // namespace
}  // namespace stokefs::cache
