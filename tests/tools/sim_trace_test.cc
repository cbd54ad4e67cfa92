#include "tools/sim_trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "tools/sim_random.h"

namespace stokefs::tools {
namespace {

TEST(SimTrace, UniformEpochsReadEachSampleOnceInDifferentOrders) {
  Trace const trace = MakeTrace({.sample_count = 100, .epoch_count = 2});
  ASSERT_EQ(trace.samples.size(), 200u);
  std::vector<uint32_t> const first(trace.samples.begin(), trace.samples.begin() + 100);
  std::vector<uint32_t> const second(trace.samples.begin() + 100, trace.samples.end());
  EXPECT_EQ(std::set<uint32_t>(first.begin(), first.end()).size(), 100u);
  EXPECT_EQ(std::set<uint32_t>(second.begin(), second.end()).size(), 100u);
  EXPECT_NE(first, second);
  EXPECT_EQ(trace.last_epoch, 100u);
}

TEST(SimTrace, TheSameSeedMakesTheSameTrace) {
  TraceOptions options{.kind = TraceKind::kZipf, .sample_count = 100, .epoch_count = 2};
  auto const once = MakeTrace(options).samples;
  EXPECT_EQ(once, MakeTrace(options).samples);
  options.seed = 2;
  EXPECT_NE(once, MakeTrace(options).samples);
}

TEST(SimTrace, DistributedEpochsArePaddedToEqualRanks) {
  Trace const trace = MakeTrace(
      {.kind = TraceKind::kDistributed, .sample_count = 10, .epoch_count = 1, .world = 4});
  ASSERT_EQ(trace.samples.size(), 12u);
  EXPECT_EQ(trace.samples[10], trace.samples[0]);
  EXPECT_EQ(trace.samples[11], trace.samples[1]);
}

TEST(SimTrace, JobsOutOfPhaseStartAnEvenPartOfAnEpochApart) {
  Trace const trace = MakeTrace(
      {.kind = TraceKind::kOutOfPhase, .sample_count = 10, .epoch_count = 3, .job_count = 2});
  ASSERT_GE(trace.epochs.size(), 2u);
  EXPECT_EQ(trace.epochs[0].position, 0u);
  EXPECT_EQ(trace.epochs[1].job.value, 1);
  EXPECT_EQ(trace.JobAt(trace.epochs[1].position).value, 1);
  EXPECT_EQ(std::count(trace.jobs.begin(), trace.jobs.begin() + 5, 0), 5);
  EXPECT_EQ(trace.samples.size() - trace.last_epoch, 20u);
}

TEST(SimTrace, JobsInStepReadTheSameSamples) {
  Trace const trace =
      MakeTrace({.kind = TraceKind::kInStep, .sample_count = 10, .epoch_count = 2, .job_count = 2});
  for (size_t i = 0; i < trace.samples.size(); i += 2)
    EXPECT_EQ(trace.samples[i], trace.samples[i + 1]);
}

TEST(SimTrace, TheFutureNamesTheNextReadOfEachSample) {
  Trace trace;
  trace.samples = {2, 0, 2, 1};
  TraceFuture future(trace, 3);
  EXPECT_EQ(future.NextUse(), 2u);
  future.MoveTo(1);
  EXPECT_EQ(future.NextUse(), 4u);
}

TEST(WeightedDraw, DrawsByTheWeights) {
  std::vector<double> const weights = {0, 1, 3, 6};
  WeightedDraw const draw(weights);
  SimRandom random(5);
  std::vector<int> counts(4);
  for (int i = 0; i < 100'000; ++i) ++counts[draw.Draw(random)];
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[1], 10'000, 600);
  EXPECT_NEAR(counts[2], 30'000, 1'000);
  EXPECT_NEAR(counts[3], 60'000, 1'000);
}

TEST(SimTrace, ARepeatedSliceEndsAsItWasAndBeginsInOtherOrders) {
  Trace const trace = MakeTrace(
      {.kind = TraceKind::kOutOfPhase, .sample_count = 100, .epoch_count = 4, .job_count = 2});
  TraceSlice const slice{130, 430};
  Trace const made = Repeat(trace, slice, 3);
  ASSERT_EQ(made.samples.size(), 900u);
  ASSERT_EQ(made.jobs.size(), 900u);
  EXPECT_EQ(made.last_epoch, 600u);
  std::vector<uint32_t> const last(made.samples.begin() + 600, made.samples.end());
  std::vector<uint32_t> const first(made.samples.begin(), made.samples.begin() + 300);
  EXPECT_EQ(last, std::vector<uint32_t>(trace.samples.begin() + 130, trace.samples.begin() + 430));
  EXPECT_NE(first, last);
  // Each epoch of each job reads in each round what it read.
  auto const read_by = [&](uint64_t from, cache::JobIndex job, uint64_t epoch) {
    std::vector<uint32_t> samples;
    uint64_t seen = 0;
    size_t mark = 0;
    while (mark < made.epochs.size() && made.epochs[mark].position < from) ++mark;
    for (uint64_t at = from; at < from + 300; ++at) {
      for (; mark < made.epochs.size() && made.epochs[mark].position == at; ++mark)
        seen += made.epochs[mark].job == job ? 1 : 0;
      if (made.JobAt(at) == job && seen == epoch) samples.push_back(made.samples[at]);
    }
    std::sort(samples.begin(), samples.end());
    return samples;
  };
  for (uint8_t job = 0; job < 2; ++job)
    for (uint64_t epoch = 1; epoch <= 2; ++epoch)
      EXPECT_EQ(read_by(0, {job}, epoch), read_by(600, {job}, epoch));
}

TEST(SimTrace, WholeEpochsAreThoseOfTheJobThatReadsTheMost) {
  Trace trace = MakeTrace({.sample_count = 100, .epoch_count = 3});
  EXPECT_EQ(WholeEpochs(trace).first, 0u);
  EXPECT_EQ(WholeEpochs(trace).end, 200u);
  trace.epochs.resize(1);
  EXPECT_EQ(WholeEpochs(trace).end, 300u);
}

}  // namespace
}  // namespace stokefs::tools
