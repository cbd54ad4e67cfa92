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

}  // namespace
}  // namespace stokefs::tools
