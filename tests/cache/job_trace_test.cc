#include "cache/job_trace.h"

#include <gtest/gtest.h>

#include <vector>

namespace stokefs::cache {
namespace {

std::vector<uint64_t> PositionsOf(const JobTrace::Reads& reads, uint8_t job) {
  std::vector<uint64_t> positions;
  for (JobTrace::Mark const& mark : reads.marks)
    if (mark.job.value == job) positions.push_back(mark.position);
  return positions;
}

TEST(JobTrace, TellsReadsInTheirOrderAndWhereEpochsBegin) {
  JobTrace trace(100);
  trace.OnEpoch({0}, 0);
  for (uint32_t i = 0; i < 5; ++i) trace.OnRead({i}, {0});
  trace.OnEpoch({0}, 0);
  trace.OnRead({3}, {0});
  JobTrace::Reads const reads = trace.Copy();
  EXPECT_EQ(reads.samples, (std::vector<uint32_t>{0, 1, 2, 3, 4, 3}));
  EXPECT_EQ(reads.jobs, std::vector<uint8_t>(6, 0));
  EXPECT_EQ(PositionsOf(reads, 0), (std::vector<uint64_t>{0, 5}));
}

TEST(JobTrace, AnOpeningIsCountedInTheJobsOwnReads) {
  JobTrace trace(100);
  trace.OnEpoch({0}, 0);
  trace.OnEpoch({1}, 0);
  for (uint32_t i = 0; i < 20; ++i) trace.OnRead({i}, {static_cast<uint8_t>(i % 2)});
  trace.OnEpoch({1}, 3);  // of 15, 17, 19
  trace.OnEpoch({0}, 1);  // of 18, so between them
  JobTrace::Reads const reads = trace.Copy();
  EXPECT_EQ(PositionsOf(reads, 1), (std::vector<uint64_t>{0, 15}));
  EXPECT_EQ(PositionsOf(reads, 0), (std::vector<uint64_t>{0, 18}));
  for (size_t i = 1; i < reads.marks.size(); ++i)
    EXPECT_LE(reads.marks[i - 1].position, reads.marks[i].position);
}

TEST(JobTrace, TheOldestReadsAreForgottenWithTheirMarks) {
  JobTrace trace(10);
  for (uint32_t epoch = 0; epoch < 5; ++epoch) {
    trace.OnEpoch({0}, 0);
    for (uint32_t i = 0; i < 4; ++i) trace.OnRead({10 * epoch + i}, {0});
  }
  JobTrace::Reads const reads = trace.Copy();
  EXPECT_EQ(reads.samples, (std::vector<uint32_t>{22, 23, 30, 31, 32, 33, 40, 41, 42, 43}));
  EXPECT_EQ(PositionsOf(reads, 0), (std::vector<uint64_t>{2, 6}));
}

TEST(JobTrace, AnOpeningLongerThanWhatIsRememberedBeginsThere) {
  JobTrace trace(4);
  for (uint32_t i = 0; i < 9; ++i) trace.OnRead({i}, {0});
  trace.OnEpoch({0}, 8);
  EXPECT_EQ(PositionsOf(trace.Copy(), 0), std::vector<uint64_t>{0});
}

}  // namespace
}  // namespace stokefs::cache
