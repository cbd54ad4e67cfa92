#include "tools/sim_epochs.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/sim_options.h"
#include "tools/sim_report.h"

namespace stokefs::tools {
namespace {

constexpr uint32_t kCount = 50'000;

SimRow RowOf(const std::string& policy, double memory, TraceOptions trace = {},
             double replication = 1) {
  trace.sample_count = kCount;
  trace.epoch_count = 4;
  SimOptions const options{.trace = trace, .chunk_samples = 64, .replication = replication};
  auto row = RunPolicy(options, MakeRun(options), policy, memory);
  EXPECT_TRUE(row.has_value());
  return *row;
}

TEST(SimEpochs, OursIsWithinAHundredthOfTheBoundAndReadsWhatMemoryLacks) {
  for (double const c : {0.1, 0.2, 0.3, 0.5, 0.75}) {
    SimRow const row = RowOf("stokefs", c);
    EXPECT_NEAR(row.hit_ratio, UniformBound(c), 0.01) << c;
    EXPECT_NEAR(row.reads_per_sample, 1 - c, 0.01) << c;
    EXPECT_LT(row.loads_per_chunk, 1.1) << c;
    EXPECT_EQ(row.coverage, 1.0) << c;
  }
}

TEST(SimEpochs, PoliciesThatFetchOnAMissOnlyHitAtMostTheirShareOfMemory) {
  // Between two reads of a sample lies the epoch's boundary, and memory carries c across it.
  for (const char* policy : {"lru", "fifo", "s3fifo", "arc", "belady"})
    EXPECT_LE(RowOf(policy, 0.3).hit_ratio, 0.301) << policy;
  EXPECT_NEAR(RowOf("belady", 0.3).hit_ratio, 0.3, 0.001);
  EXPECT_NEAR(RowOf("pinned", 0.3).hit_ratio, 0.3, 0.001);
  EXPECT_NEAR(RowOf("lru", 0.5).hit_ratio, 0.153, 0.01);
}

TEST(SimEpochs, WeightedSamplingHitsNearlyWhatTheBestStaticSetHits) {
  for (TraceOptions const trace : {TraceOptions{.kind = TraceKind::kZipf, .exponent = 0.6},
                                   TraceOptions{.kind = TraceKind::kZipf, .exponent = 0.9},
                                   TraceOptions{.kind = TraceKind::kLogRank}})
    for (double const c : {0.1, 0.2, 0.5})
      EXPECT_GE(RowOf("stokefs", c, trace).hit_ratio, 0.97 * RowOf("pinned", c, trace).hit_ratio);
}

TEST(SimEpochs, EachOfTwoJobsOutOfPhaseHitsWhatHalfTheMemoryWouldGiveIt) {
  SimRow const row = RowOf("stokefs", 0.2, {.kind = TraceKind::kOutOfPhase, .job_count = 2});
  for (int job = 0; job < 2; ++job)
    EXPECT_GT(static_cast<double>(row.counts.job_hits[job]) /
                  static_cast<double>(row.counts.job_reads[job]),
              UniformBound(0.1) - 0.01);
}

TEST(SimEpochs, JobsInStepReadAsOne) {
  SimRow const row = RowOf("stokefs", 0.2, {.kind = TraceKind::kInStep, .job_count = 2});
  EXPECT_NEAR(row.reads_per_sample * 2, 0.8, 0.02);
}

TEST(SimEpochs, RanksWithPaddingReadAsOneEpoch) {
  SimRow const row = RowOf("stokefs", 0.2, {.kind = TraceKind::kDistributed, .world = 7});
  EXPECT_NEAR(row.hit_ratio, UniformBound(0.2), 0.01);
}

TEST(SimEpochs, ShadesReplicationRaisesItsHitsAndLowersItsCoverage) {
  SimRow const once = RowOf("shade", 0.2);
  SimRow const thrice = RowOf("shade", 0.2, {}, 3);
  EXPECT_GT(thrice.hit_ratio, once.hit_ratio + 0.2);
  EXPECT_LT(thrice.coverage, once.coverage - 0.1);
  EXPECT_LT(once.coverage, 0.65);
}

TEST(SimEpochs, AnUnknownPolicyIsRefused) {
  SimOptions const options{.trace = {.sample_count = 10}};
  auto const row = RunPolicy(options, MakeRun(options), "mru", 0.5);
  ASSERT_FALSE(row.has_value());
  EXPECT_EQ(row.error().code, std::errc::invalid_argument);
}

TEST(SimEpochs, EveryNamedPolicyRunsOnEveryTraceAndTheSmallestMemory) {
  for (TraceKind const kind :
       {TraceKind::kUniform, TraceKind::kZipf, TraceKind::kLogRank, TraceKind::kDistributed,
        TraceKind::kOutOfPhase, TraceKind::kInStep}) {
    SimOptions const options{
        .trace = {.kind = kind, .sample_count = 300, .epoch_count = 3, .job_count = 2, .world = 7},
        .chunk_samples = 16};
    SimRun const run = MakeRun(options);
    for (const std::string& name : SimPolicyNames()) {
      for (double const memory : {0.001, 0.3, 1.0}) {
        auto const row = RunPolicy(options, run, name, memory);
        ASSERT_TRUE(row.has_value());
        EXPECT_GE(row->hit_ratio, 0) << name;
        EXPECT_LE(row->hit_ratio, 1) << name;
      }
    }
  }
}

TEST(SimReport, JsonRowsHaveTheKeysThatWereAgreed) {
  auto const json = nlohmann::ordered_json::parse(SimJson({{.policy = "lru", .memory = 0.1}}));
  ASSERT_TRUE(json.is_array());
  std::vector<std::string> keys;
  for (const auto& [key, value] : json[0].items()) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string>{"policy", "memory", "hit_ratio", "reads_per_sample",
                                            "loads_per_chunk", "coverage"}));
}

TEST(SimReport, CurvesHaveALineForEachPolicyAndOneForTheBound) {
  std::string const svg =
      SimSvg({{.policy = "lru", .memory = 0.1}, {.policy = "arc"}}, "a < b", UniformBound);
  size_t lines = 0;
  for (size_t at = svg.find("<polyline"); at != std::string::npos;
       at = svg.find("<polyline", at + 1))
    ++lines;
  EXPECT_EQ(lines, 3u);
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
}

TEST(SimOptions, WhatIsNoNumberOrOutOfRangeIsRefusedByItsFlag) {
  EXPECT_EQ(*ParseSimCount("epochs", "5", {1, 10}), 5u);
  for (const char* text : {"", "0", "11", "-1", "5x", "1.5"}) {
    auto const value = ParseSimCount("epochs", text, {1, 10});
    ASSERT_FALSE(value.has_value()) << text;
    EXPECT_NE(value.error().message.find("--epochs"), std::string::npos);
  }
  for (const char* text : {"nan", "inf", "0.1,,0.2", "0", "1.1", ""})
    EXPECT_FALSE(ParseSimMemory(text).has_value()) << text;
  EXPECT_EQ(*ParseSimMemory("0.1,1"), (std::vector<double>{0.1, 1}));
  EXPECT_EQ(ParseSimPolicies("all")->size(), 9u);
  EXPECT_EQ(ParseSimPolicies("lru,lru,arc")->size(), 2u);
  EXPECT_FALSE(ParseSimPolicies("lru,").has_value());
}

}  // namespace
}  // namespace stokefs::tools
