#include "tools/why.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/sim_epochs.h"

namespace stokefs::tools {
namespace {

constexpr uint32_t kCount = 20'000;
constexpr double kOriginWait = 2e-3, kDiskWait = 1e-4;

struct Run {
  double memory = 0.2;   // of the dataset
  double thought_s = 0;  // a sample
  double hit_ratio = 0.52;
  double readers = 2;
  double disk_share = 0;  // of the misses
};

// Three epochs of a job that shuffles, the last of them just begun.
RecordedTrace Recorded(const Run& run) {
  RecordedTrace recorded{.origin_parallel = 1000};
  recorded.shape = cache::DatasetShape::Even({.sample_count = kCount, .chunk_samples = 64});
  recorded.memory_bytes = static_cast<uint64_t>(run.memory * kCount);
  recorded.trace = MakeTrace({.sample_count = kCount, .epoch_count = 3});
  recorded.trace.samples.resize(2 * kCount + 100);
  recorded.trace.traits.resize(cache::kJobCountMax);
  TracedEpoch epoch{.index = 1, .progress = 1, .thought_s = run.thought_s * kCount};
  double const misses = (1 - run.hit_ratio) * kCount;
  auto const add = [&](cache::Tier tier, double reads, double wait_s) {
    epoch.by_tier[static_cast<size_t>(tier)] = {static_cast<uint64_t>(reads), reads * wait_s};
  };
  add(cache::Tier::kMemory, run.hit_ratio * kCount, 0);
  add(cache::Tier::kDisk, misses * run.disk_share, kDiskWait);
  add(cache::Tier::kOrigin, misses * (1 - run.disk_share), kOriginWait);
  epoch.seconds = (epoch.thought_s + epoch.WaitedSeconds()) / run.readers;
  TracedEpoch begun{.index = 2, .progress = 0.005};
  begun.by_tier[1].read_count = 100;
  recorded.jobs = {{.index = {0}, .name = "job", .root = "", .epochs = {epoch, begun}}};
  return recorded;
}

const WhatIf* Find(const JobWhy& job, WhatIf::Change change, double more_bytes = 0) {
  for (WhatIf const& one : job.what_if)
    if (one.change == change && static_cast<double>(one.more_bytes) >= more_bytes) return &one;
  return nullptr;
}

TEST(Why, AJobThatWaitsForTheOriginIsBoundByIt) {
  JobWhy const job = ExplainJobs(Recorded({})).at(0);
  EXPECT_EQ(job.bound, "origin");
  EXPECT_EQ(job.epoch.index, 1u);
  EXPECT_NEAR(job.replayed_hits, UniformBound(0.2), 0.01);
}

TEST(Why, AJobThatThinksLongerThanItWaitsIsBoundByItself) {
  EXPECT_EQ(ExplainJobs(Recorded({.thought_s = 5e-3})).at(0).bound, "trainer");
}

TEST(Why, MoreMemoryGivesTheBoundOfSoMuchAndAShorterEpoch) {
  JobWhy const job = ExplainJobs(Recorded({.memory = 0.2})).at(0);
  // Of the time nothing but waits for misses: it goes with them.
  WhatIf const* const doubled = Find(job, WhatIf::Change::kMemory, 0.199 * kCount);
  ASSERT_NE(doubled, nullptr);
  EXPECT_NEAR(doubled->hit_ratio, UniformBound(0.4), 0.02);
  EXPECT_NEAR(doubled->seconds / job.epoch.seconds, (1 - UniformBound(0.4)) / 0.48, 0.04);
  EXPECT_EQ(doubled->bound, "origin");
  for (size_t i = 1; i < job.what_if.size(); ++i) {
    if (job.what_if[i].change != WhatIf::Change::kMemory) break;
    EXPECT_GT(job.what_if[i].hit_ratio, job.what_if[i - 1].hit_ratio);
  }
}

TEST(Why, MemoryForAllOfItLeavesNothingToWaitFor) {
  JobWhy const job =
      ExplainJobs(Recorded({.memory = 0.5, .thought_s = 1e-4, .hit_ratio = 0.84})).at(0);
  auto const all = std::find_if(job.what_if.begin(), job.what_if.end(), [](const WhatIf& one) {
    return one.change == WhatIf::Change::kMemory && one.holds_all;
  });
  ASSERT_NE(all, job.what_if.end());
  EXPECT_GT(all->hit_ratio, 0.99);
  EXPECT_EQ(all->bound, "trainer");
}

TEST(Why, DiskForAllOfItAnswersInTheOriginsPlace) {
  JobWhy const job = ExplainJobs(Recorded({.disk_share = 0.5})).at(0);
  WhatIf const* const disk = Find(job, WhatIf::Change::kDisk);
  ASSERT_NE(disk, nullptr);
  EXPECT_FALSE(disk->at_best);
  EXPECT_NEAR(disk->seconds, 0.48 * kCount * kDiskWait / 2, 0.01);
  EXPECT_EQ(disk->bound, "disk");
  EXPECT_TRUE(Find(ExplainJobs(Recorded({})).at(0), WhatIf::Change::kDisk)->at_best);

  RecordedTrace fits = Recorded({.disk_share = 0.5});
  fits.disk_bytes = kCount;
  EXPECT_EQ(Find(ExplainJobs(fits).at(0), WhatIf::Change::kDisk), nullptr);
}

TEST(Why, AKnownOrderHitsNearlyAlwaysWhileTheOriginKeepsUp) {
  JobWhy const job = ExplainJobs(Recorded({.thought_s = 1e-3})).at(0);
  WhatIf const* const known = Find(job, WhatIf::Change::kOrderKnown);
  ASSERT_NE(known, nullptr);
  EXPECT_GT(known->hit_ratio, 0.95);
  EXPECT_EQ(known->bound, "trainer");

  RecordedTrace slow = Recorded({.thought_s = 1e-3});
  slow.origin_parallel = 2;  // 0.8 of the samples, 1 ms each at the very least
  JobWhy const bound = ExplainJobs(slow).at(0);
  WhatIf const* const late = Find(bound, WhatIf::Change::kOrderKnown);
  ASSERT_NE(late, nullptr);
  EXPECT_EQ(late->bound, "origin");
  EXPECT_GT(late->seconds, 2 * known->seconds * 0.7);
}

TEST(Why, TooFewReadsAreNotReplayed) {
  RecordedTrace recorded = Recorded({});
  recorded.trace.samples.resize(150);
  recorded.trace.epochs.resize(1);
  recorded.jobs[0].epochs.resize(1);
  JobWhy const job = ExplainJobs(recorded).at(0);
  EXPECT_FALSE(job.why_no_what_if.empty());
  EXPECT_TRUE(job.what_if.empty());
  EXPECT_NE(WhyText({job}).find("too few reads"), std::string::npos);
}

TEST(Why, TheTextAndTheJsonSayTheSame) {
  std::vector<JobWhy> const jobs = ExplainJobs(Recorded({}));
  std::string const text = WhyText(jobs);
  for (const char* const part : {"job: origin-bound", "thinks", "origin",
                                 "memory:", "disk (all fits)", "the order known", "shorter"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  auto const json = nlohmann::json::parse(WhyJson(jobs));
  auto const& job = json.at("jobs").at(0);
  EXPECT_EQ(job.at("bound"), "origin");
  EXPECT_EQ(job.at("what_if").size(), jobs[0].what_if.size());
  EXPECT_NEAR(job.at("hit_ratio").get<double>(), 0.52, 1e-3);
  EXPECT_NE(WhyText({}).find("no job"), std::string::npos);
}

}  // namespace
}  // namespace stokefs::tools
