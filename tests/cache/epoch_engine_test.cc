#include "cache/epoch_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_dataset.h"
#include "tests/support/fake_processes.h"

namespace stokefs::cache {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr uint32_t kTrainer = 100, kOther = 200, kCount = 1000;
constexpr uint64_t kSize = 1000;

// Reads are told, never made: memory stays empty, and nothing that is wished for comes.
class EpochEngineTest : public ::testing::Test {
 protected:
  EpochEngineTest() {
    processes_.Add(kTrainer, 1, "/usr/bin/python3");
    processes_.Add(kOther, 1, "/usr/bin/python3");
    memory_ = std::move(*MemoryTier::Create(1u << 20, replacement_));
    engine_ = std::make_unique<EpochEngine>(
        EpochEngine::Options{.memory_bytes = 1u << 20, .layout = {}}, dataset_, processes_,
        *memory_, replacement_,
        [](std::span<const BlockKey>, RoomRule, const PrefetchDone&) { return size_t{0}; }, clock_);
  }

  static std::vector<uint32_t> InOrder(uint32_t first, uint32_t count) {
    std::vector<uint32_t> nodes(count);
    std::iota(nodes.begin(), nodes.end(), first);
    return nodes;
  }
  std::vector<uint32_t> Shuffled(uint32_t first, uint32_t count) {
    std::vector<uint32_t> nodes = InOrder(first, count);
    std::shuffle(nodes.begin(), nodes.end(), dice_);
    return nodes;
  }
  std::vector<uint32_t> SomeOf(uint32_t first, uint32_t count, uint32_t read_count) {
    std::vector<uint32_t> nodes = Shuffled(first, count);
    nodes.resize(read_count);
    return nodes;
  }
  void Read(uint32_t process, const std::vector<uint32_t>& nodes) {
    for (uint32_t const node : nodes) {
      ReadEvent const event{.reader = {.thread_id = process},
                            .node = {node},
                            .size_bytes = kSize,
                            .whole_end = true,
                            .tier = Tier::kOrigin,
                            .when = clock_.Now()};
      engine_->OnReads({&event, 1});
    }
  }
  void Wait(base::Duration time) {
    clock_.Advance(time);
    engine_->OnIdle();
  }
  std::vector<std::string> ActiveRoots() const {
    std::vector<std::string> roots;
    for (JobReport const& job : engine_->Jobs())
      if (job.active) roots.push_back(job.record.root());
    return roots;
  }

  std::mt19937 dice_{7};
  testing::FakeClock clock_;
  testing::FakeProcesses processes_;
  testing::FakeDataset dataset_;
  EpochReplacement replacement_;
  std::unique_ptr<MemoryTier> memory_;
  std::unique_ptr<EpochEngine> engine_;
};

using Roots = std::vector<std::string>;

TEST_F(EpochEngineTest, WhoShufflesIsAJobAndItsEpochsAreCounted) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  for (int epoch = 0; epoch < 3; ++epoch) Read(kTrainer, Shuffled(first, kCount));
  ASSERT_EQ(engine_->Jobs().size(), 1u);
  JobRecord const job = engine_->Jobs()[0].record;
  EXPECT_EQ(job.root(), "train");
  ASSERT_EQ(job.epochs().size(), 3u);
  for (EpochRecord const& epoch : job.epochs()) {
    EXPECT_EQ(epoch.scope_count, kCount);
    EXPECT_GE(epoch.used_count, kCount - 64);  // of the first, those before it was seen
  }
}

TEST_F(EpochEngineTest, WhoReadsInOrderIsNoJob) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  Read(kTrainer, InOrder(first, kCount));
  EXPECT_TRUE(engine_->Jobs().empty());
}

TEST_F(EpochEngineTest, AValidationFolderInOrderBelongsToNoJob) {
  uint32_t const train = dataset_.Add("train", kCount, kSize);
  uint32_t const val = dataset_.Add("val", kCount / 4, kSize);
  for (int epoch = 0; epoch < 3; ++epoch) {
    Read(kTrainer, Shuffled(train, kCount));
    Read(kTrainer, InOrder(val, kCount / 4));
  }
  EXPECT_EQ(ActiveRoots(), Roots{"train"});
  EXPECT_EQ(engine_->Jobs()[0].record.epochs().size(), 3u);
}

TEST_F(EpochEngineTest, TwoFoldersOneAfterTheOtherAreTwoJobs) {
  uint32_t const a = dataset_.Add("a", kCount, kSize);
  uint32_t const b = dataset_.Add("b", kCount, kSize);
  Read(kTrainer, Shuffled(a, kCount));
  Read(kTrainer, Shuffled(b, kCount));
  EXPECT_EQ(ActiveRoots(), (Roots{"a", "b"}));
}

TEST_F(EpochEngineTest, TwoGroupsOnOneFolderAreTwoJobs) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  Read(kTrainer, Shuffled(first, kCount));
  Read(kOther, Shuffled(first, kCount));
  EXPECT_EQ(ActiveRoots(), (Roots{"train", "train"}));
}

TEST_F(EpochEngineTest, TheRanksOfALauncherAreOneJob) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  processes_.Add(101, kTrainer, "/usr/bin/python3");
  processes_.Add(102, kTrainer, "/usr/bin/python3");
  std::vector<uint32_t> const nodes = Shuffled(first, kCount);
  for (uint32_t i = 0; i < kCount; ++i) Read(i % 2 == 0 ? 101 : 102, {nodes[i]});
  EXPECT_EQ(ActiveRoots(), Roots{"train"});
}

TEST_F(EpochEngineTest, AJobEndsWithItsProcess) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  Read(kTrainer, Shuffled(first, kCount));
  processes_.facts.erase(kTrainer);
  Wait(seconds(2));
  EXPECT_TRUE(ActiveRoots().empty());
  EXPECT_EQ(engine_->Jobs().size(), 1u);  // what it did is still told
}

TEST_F(EpochEngineTest, AJobThatReadsNothingForLongEnds) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  Read(kTrainer, Shuffled(first, kCount));
  Wait(minutes(9));
  EXPECT_EQ(ActiveRoots(), Roots{"train"});
  Wait(minutes(2));
  EXPECT_TRUE(ActiveRoots().empty());
}

TEST_F(EpochEngineTest, AJobGoesOnWhenFilesAreAdded) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  Read(kTrainer, Shuffled(first, kCount));
  dataset_.Add("train/more", 10, kSize);
  Wait(seconds(2));  // the change is seen
  Wait(seconds(2));  // and has been still for a while
  Read(kTrainer, Shuffled(first, kCount + 10));
  EXPECT_EQ(ActiveRoots(), Roots{"train"});
  EXPECT_EQ(engine_->Jobs()[0].record.epochs().back().scope_count, kCount + 10);
}

TEST_F(EpochEngineTest, AJobWhoseFolderIsGoneEnds) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  dataset_.Add("other", kCount, kSize);
  Read(kTrainer, Shuffled(first, kCount));
  for (uint32_t i = 0; i < kCount; ++i) dataset_.files[i].size_bytes = 0;
  ++dataset_.version;
  Wait(seconds(2));
  Wait(seconds(2));
  EXPECT_TRUE(ActiveRoots().empty());
}

TEST_F(EpochEngineTest, ANinthJobTakesThePlaceOfTheOneIdleTheLongest) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  for (uint32_t i = 0; i < 9; ++i) {
    processes_.Add(300 + i, 1, "/usr/bin/python3");
    Read(300 + i, SomeOf(first, kCount, 200));
    clock_.Advance(std::chrono::milliseconds(10));
  }
  std::vector<JobReport> const jobs = engine_->Jobs();
  ASSERT_EQ(jobs.size(), 9u);
  EXPECT_FALSE(jobs[0].active);
  for (size_t i = 1; i < jobs.size(); ++i) EXPECT_TRUE(jobs[i].active) << i;
}

TEST_F(EpochEngineTest, OnlyTheNewestJobsAreTold) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  for (uint32_t i = 0; i < 40; ++i) {
    processes_.Add(300 + i, 1, "/usr/bin/python3");
    Read(300 + i, SomeOf(first, kCount, 200));
    processes_.facts.erase(300 + i);
    Wait(seconds(2));
  }
  EXPECT_LE(engine_->Jobs().size(), 16u);
  EXPECT_EQ(engine_->Jobs().back().record.name(), "python3-339:train");
}

TEST_F(EpochEngineTest, ASubsetReadAgainAndAgainHasEpochs) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  std::vector<uint32_t> nodes = Shuffled(first, kCount);
  nodes.resize(kCount * 6 / 10);
  for (int epoch = 0; epoch < 4; ++epoch) {
    std::shuffle(nodes.begin(), nodes.end(), dice_);
    Read(kTrainer, nodes);
  }
  auto const epochs = engine_->Jobs()[0].record.epochs();
  ASSERT_EQ(epochs.size(), 4u);
  EXPECT_EQ(epochs.back().scope_count, nodes.size());
  memory_->Steer([&] {  // what it never reads is not wanted
    EpochSteering const& steering = *replacement_.steering();
    for (uint32_t node = first; node < first + kCount; ++node) {
      bool const reads = std::find(nodes.begin(), nodes.end(), node) != nodes.end();
      auto const sample = *steering.map->Find({NodeId{node}, 0});
      EXPECT_EQ(steering.policy.Wants({0}, sample), reads) << node;
    }
    steering.policy.CheckConsistency();
  });
}

TEST_F(EpochEngineTest, ReadsOfWhatTheCatalogDoesNotKnowAreOfNoConsequence) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  Read(kTrainer, Shuffled(first, kCount));
  Read(kTrainer, Shuffled(50'000, 1000));
  EXPECT_EQ(ActiveRoots()[0], "train");
  EXPECT_EQ(engine_->Jobs()[0].record.epochs().size(), 1u);
}

// As when the kernel drops a page before its reader has copied it.
TEST_F(EpochEngineTest, WhatTheKernelReadsTwiceAtOnceIsOneRead) {
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<uint32_t> reads;
    for (uint32_t const node : Shuffled(first, kCount)) {
      reads.push_back(node);
      if (reads.size() > 4 && dice_() % 3 == 0) reads.push_back(reads[reads.size() - 3]);
    }
    Read(kTrainer, reads);
  }
  auto const epochs = engine_->Jobs()[0].record.epochs();
  ASSERT_EQ(epochs.size(), 3u);
  EXPECT_EQ(epochs.back().ReadCount(), kCount);
}

TEST_F(EpochEngineTest, TheTraceTellsWhatWasReadAndWhatItWaitedFor) {
  using std::chrono::milliseconds;
  dataset_.Add("other", 50, kSize);
  uint32_t const first = dataset_.Add("train", kCount, kSize);
  std::vector<uint32_t> last;
  for (int epoch = 0; epoch < 2; ++epoch) {
    last = Shuffled(first, kCount);
    for (uint32_t const node : last) {
      clock_.Advance(milliseconds(3));  // 1 ms of thought, 2 ms of waiting
      ReadEvent const event{.reader = {.thread_id = kTrainer},
                            .node = {node},
                            .size_bytes = kSize,
                            .whole_end = true,
                            .tier = Tier::kOrigin,
                            .when = clock_.Now(),
                            .waited = milliseconds(2)};
      engine_->OnReads({&event, 1});
    }
    clock_.Advance(seconds(20));  // no thought: an epoch's end
  }
  JobTraceReport const report = engine_->Trace();
  ASSERT_NE(report.map, nullptr);
  ASSERT_EQ(report.jobs.size(), 1u);
  TracedJob const& job = report.jobs[0];
  EXPECT_EQ(job.record.root(), "train");
  EXPECT_EQ(std::count(job.scope->begin(), job.scope->end(), true), kCount);
  EpochRecord const& epoch = job.record.epochs().back();
  TierReads const& origin = epoch.by_tier[static_cast<size_t>(Tier::kOrigin)];
  EXPECT_EQ(origin.read_count, kCount);
  EXPECT_EQ(origin.waited, milliseconds(2) * kCount);
  EXPECT_EQ(epoch.thought, milliseconds(1) * (kCount - 1));
  EXPECT_EQ(epoch.ended - epoch.began, milliseconds(3) * kCount - milliseconds(1));

  ASSERT_GE(report.reads.samples.size(), 2 * kCount - 64);
  ASSERT_EQ(report.reads.jobs.size(), report.reads.samples.size());
  uint64_t const begun = report.reads.samples.size() - kCount;
  EXPECT_EQ(report.reads.marks.back().position, begun);
  for (uint32_t i = 0; i < kCount; ++i)
    ASSERT_EQ(report.map->KeyOf({report.reads.samples[begun + i]}).node.value, last[i]);
}

}  // namespace
}  // namespace stokefs::cache
