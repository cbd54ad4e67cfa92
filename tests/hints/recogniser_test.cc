#include "hints/recogniser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "hints/randperm.h"
#include "tests/hints/fake_seed_accelerator.h"
#include "tests/hints/shuffled_readers.h"

namespace stokefs::hints {
namespace {

using State = Recogniser::State;
using testing::LoaderShape;
using testing::ReadsOf;
using testing::SampleRead;
using testing::Tell;

// Seeds searched in unit tests: a 4,096th of all.
constexpr SeedSearch::Range kFewSeeds{0, uint64_t{1} << 20};

std::vector<cache::NodeId> Nodes(uint32_t n) {
  std::vector<cache::NodeId> nodes;
  for (uint32_t i = 0; i < n; ++i) nodes.push_back({i + 2});
  return nodes;
}

void ExpectPlan(const cache::Plan* plan, std::span<const uint32_t> sequence) {
  ASSERT_NE(plan, nullptr);
  ASSERT_EQ(plan->SampleCount(), sequence.size());
  for (size_t at = 0; at < sequence.size(); ++at)
    ASSERT_EQ(plan->At(at)->value, sequence[at] + 2) << "position " << at;
}

ShuffleOrder Seeded(uint32_t n, uint32_t seed) {
  return {.kind = OrderKind::kSeeded, .sample_count = n, .seed = seed};
}

class RecogniserTest : public ::testing::Test {
 protected:
  RecogniserTest() : random_seed_(std::random_device()()), random_(random_seed_) {}
  void SetUp() override { RecordProperty("seed", static_cast<int>(random_seed_)); }

  uint32_t Between(uint32_t low, uint32_t high) { return low + random_() % (high - low + 1); }
  std::string Trace() const { return "seed " + std::to_string(random_seed_); }

  const unsigned random_seed_;
  std::mt19937 random_;
};

TEST_F(RecogniserTest, FindsADistributedSamplerWithinTheFirst64ReadsOfAnyRank) {
  SCOPED_TRACE(Trace());
  for (int round = 0; round < 12; ++round) {
    uint32_t const world = round % 3 == 0 ? 1 : Between(1, 40);
    uint32_t const n = Between(std::max(200u, world * 30), 30'000);
    LoaderShape const shape{.split = {.world = world, .rank = Between(0, world - 1)},
                            .deal = {Between(2, 64), Between(1, 6)}};
    ShuffleOrder const order = Seeded(n, Between(0, 10'000));
    SCOPED_TRACE("n " + std::to_string(n) + " seed " + std::to_string(order.seed) + " world " +
                 std::to_string(world) + " rank " + std::to_string(shape.split.rank) + " batch " +
                 std::to_string(shape.deal.batch_size) + " workers " +
                 std::to_string(shape.deal.workers));
    auto const entries = Expand(order);
    auto const reads = ReadsOf(entries, shape, random_);
    Recogniser recogniser({.sample_count = n, .effort = RecogniseEffort::kCheap});
    Tell(recogniser, std::span(reads).first(std::min<size_t>(64, reads.size())));
    ASSERT_EQ(recogniser.Now(), State::kRecognised);
    auto const finding = *recogniser.Found();
    EXPECT_EQ(finding.order, order);
    EXPECT_EQ(finding.world, world);
    EXPECT_EQ(finding.ranks, std::vector<uint32_t>{shape.split.rank});
    EXPECT_GE(finding.evidence_log10, kCertainLog10);
    ExpectPlan(recogniser.MakePlan(shape.split.rank, Nodes(n)).get(),
               RankSequence(entries, shape.split));
    EXPECT_EQ(recogniser.MakePlan(world, Nodes(n)), nullptr);

    Tell(recogniser, std::span(reads).subspan(std::min<size_t>(64, reads.size())), 0);
    EXPECT_EQ(recogniser.Now(), State::kRecognised) << recogniser.WhyDropped();
    if (shape.deal.workers > 1 && uint64_t{n} / world > 4 * shape.deal.batch_size * 6) {
      EXPECT_EQ(recogniser.Found()->deal, shape.deal);
    }
  }
}

TEST_F(RecogniserTest, EpochsThatFollowAreKnownFromTheLast) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 5'000;
  uint64_t const both = 2 * (n - 1);
  struct Case {
    const char* what;
    ShuffleOrder first;
    uint32_t seed_step;
    uint64_t output_step;
    bool new_threads;
  };
  for (auto const& [what, first, seed_step, output_step, new_threads] : {
           Case{"set_epoch", Seeded(n, 300), 1, 0, true},
           Case{"set_epoch, persistent workers", Seeded(n, 300), 1, 0, false},
           Case{"no set_epoch", Seeded(n, 0), 0, 0, true},
           Case{"sampler's own generator", Seeded(n, 42), 0, both, true},
           Case{"loader's generator", {OrderKind::kLoader, n, 42, 2}, 0, both + 2, true},
           Case{"loader's generator, persistent", {OrderKind::kLoader, n, 7, 2}, 0, both, false},
           Case{"sorted", {OrderKind::kSequential, n, 0, 0}, 0, 0, true},
       }) {
    SCOPED_TRACE(what);
    Recogniser recogniser({.sample_count = n, .effort = RecogniseEffort::kCheap});
    ShuffleOrder order = first;
    LoaderShape shape{.deal = {32, 3}};
    for (int epoch = 0; epoch < 4; ++epoch) {
      auto const entries = Expand(order);
      auto const reads = ReadsOf(entries, shape, random_);
      if (epoch >= 2) {
        // The rule has held once: the order is known ahead of its first read.
        ExpectPlan(recogniser.MakeNextPlan(0, Nodes(n)).get(), entries);
        if (epoch == 3) {
          recogniser.BeginEpoch();
          ASSERT_EQ(recogniser.Now(), State::kPredicted);
          ExpectPlan(recogniser.MakePlan(0, Nodes(n)).get(), entries);
        }
      }
      Tell(recogniser, std::span(reads).first(40));
      ASSERT_EQ(recogniser.Now(), State::kRecognised) << "epoch " << epoch;
      ASSERT_EQ(recogniser.Found()->order, order) << "epoch " << epoch;
      Tell(recogniser, std::span(reads).subspan(40), 0);
      ASSERT_EQ(recogniser.Now(), State::kRecognised) << recogniser.WhyDropped();
      ASSERT_EQ(recogniser.Epoch(), static_cast<uint64_t>(epoch));
      order.seed += seed_step;
      order.first_output += output_step;
      if (new_threads) shape.first_thread_id += 10;
    }
    EXPECT_EQ(recogniser.WhyDropped(), "");
  }
}

TEST_F(RecogniserTest, AnUnseededOrderIsFoundByTheSearchAndThenItsGenerator) {
  SCOPED_TRACE(Trace());
  // A default generator whose sampler seeds lie among the few that are searched here.
  uint32_t const n = 3'000;
  uint32_t manual_seed = 0;
  for (uint32_t seed = 20'000; manual_seed == 0; ++seed) {
    if (PositionsIn(seed, MakeGeneratorPosition(seed, 2).after.Next()).empty()) continue;
    if (MakeGeneratorPosition(seed, 2).after.Next() < kFewSeeds.end) manual_seed = seed;
  }
  ASSERT_LT(manual_seed, kFewSeeds.end);
  Mt19937 defaults(manual_seed);
  Recogniser recogniser({.sample_count = n, .seeds = kFewSeeds});
  LoaderShape shape{.deal = {20, 4}};
  for (int epoch = 0; epoch < 3; ++epoch) {
    defaults.Skip(3);
    ShuffleOrder const order{OrderKind::kDefault, n, defaults.Next(), 0};
    auto const reads = ReadsOf(Expand(order), shape, random_);
    // The long search begins when 64 reads have shown the workers; later epochs need none.
    size_t const enough = epoch == 0 ? 70 : 40;
    Tell(recogniser, std::span(reads).first(enough), enough);
    ASSERT_EQ(recogniser.Now(), State::kRecognised) << "epoch " << epoch;
    ASSERT_EQ(recogniser.Found()->order, order);
    Tell(recogniser, std::span(reads).subspan(enough), 0);
    shape.first_thread_id += 10;
  }
}

TEST_F(RecogniserTest, AnOrderFoundTooLateStillTellsTheNextEpochs) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 1'000, seed = 900'000;
  Recogniser recogniser({.sample_count = n, .seeds = kFewSeeds});
  LoaderShape shape{.deal = {20, 2}};
  auto const first = ReadsOf(Expand(Seeded(n, seed)), shape, random_);
  for (auto const& read : first) recogniser.OnRead(read.reader, read.index);
  // The cheap sources, and the beginning of the long search.
  while (recogniser.Work() && recogniser.SliceCount() < 23) {
  }
  ASSERT_EQ(recogniser.Now(), State::kWatching);
  recogniser.BeginEpoch();
  shape.first_thread_id += 10;
  auto const second = ReadsOf(Expand(Seeded(n, seed + 1)), shape, random_);
  for (auto const& read : std::span(second).first(30)) recogniser.OnRead(read.reader, read.index);
  while (recogniser.Work()) {
  }
  ASSERT_EQ(recogniser.Now(), State::kRecognised);
  EXPECT_EQ(recogniser.Found()->order.seed, seed + 1);
}

TEST_F(RecogniserTest, ALargeSeedWhoseGeneratorGoesOnNeedsOneSearchOnly) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 2'000, seed = 500'000;
  Recogniser recogniser({.sample_count = n, .seeds = kFewSeeds});
  LoaderShape shape{.deal = {20, 2}};
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    ShuffleOrder order = Seeded(n, seed);
    order.first_output = epoch * 2 * (n - 1);
    auto const reads = ReadsOf(Expand(order), shape, random_);
    Tell(recogniser, std::span(reads).first(70), epoch == 0 ? 70 : 0);
    ASSERT_EQ(recogniser.Now(), State::kRecognised) << "epoch " << epoch;
    EXPECT_EQ(recogniser.Found()->order.first_output, order.first_output);
    EXPECT_EQ(recogniser.Found()->order.seed, seed);
    Tell(recogniser, std::span(reads).subspan(70), 0);
    shape.first_thread_id += 10;
  }
}

TEST_F(RecogniserTest, LargeSeedsOfARankAreFoundByTheSearch) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 5'000;
  LoaderShape const shape{.split = {.world = 8, .rank = 5}, .deal = {16, 1}};
  auto const reads = ReadsOf(Expand(Seeded(n, 777'777)), shape, random_);
  Recogniser recogniser({.sample_count = n, .seeds = kFewSeeds});
  Tell(recogniser, std::span(reads).first(70), 70);
  ASSERT_EQ(recogniser.Now(), State::kRecognised);
  EXPECT_EQ(recogniser.Found()->order.seed, 777'777u);
  EXPECT_EQ(recogniser.Found()->ranks, std::vector<uint32_t>{5});
}

TEST_F(RecogniserTest, AnAcceleratorThatFailsIsReportedAndNotMissed) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 5'000;
  LoaderShape const shape{.deal = {16, 2}};
  auto const reads = ReadsOf(Expand(Seeded(n, 777'777)), shape, random_);
  for (uint64_t const scans_max : {0u, 5u, 1'000u}) {
    testing::FakeSeedAccelerator accelerator(scans_max);
    Recogniser recogniser({.sample_count = n, .accelerator = &accelerator, .seeds = kFewSeeds});
    Tell(recogniser, std::span(reads).first(70), 70);
    ASSERT_EQ(recogniser.Now(), State::kRecognised);
    EXPECT_EQ(recogniser.Found()->order.seed, 777'777u);
    EXPECT_EQ(recogniser.WhyOnCpu(), scans_max < 1'000 ? "the device fell off" : "");
  }
}

TEST_F(RecogniserTest, AWorkerWithoutTheFirstBatchIsEnough) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 20'000;
  LoaderShape const shape{.split = {.world = 2, .rank = 1}, .deal = {256, 6}};
  auto reads = ReadsOf(Expand(Seeded(n, 11)), shape, random_);
  std::erase_if(reads, [](const SampleRead& read) { return read.reader.thread_id != 1004; });
  Recogniser recogniser({.sample_count = n, .seeds = {0, 1 << 12}});
  Tell(recogniser, std::span(reads).first(100), 100);
  ASSERT_EQ(recogniser.Now(), State::kRecognised);
  EXPECT_EQ(recogniser.Found()->order, Seeded(n, 11));
  EXPECT_EQ(recogniser.Found()->world, 2u);
}

TEST_F(RecogniserTest, AllRanksOfANodeAreSeenAtOnce) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 9'000;
  auto const entries = Expand(Seeded(n, 4));
  std::vector<SampleRead> reads;
  for (uint32_t rank = 4; rank < 8; ++rank) {
    LoaderShape const shape{
        .split = {.world = 16, .rank = rank}, .deal = {8, 2}, .first_thread_id = rank * 10};
    auto const part = ReadsOf(entries, shape, random_);
    reads.insert(reads.end(), part.begin(), part.begin() + 60);
  }
  Recogniser recogniser({.sample_count = n, .effort = RecogniseEffort::kCheap});
  Tell(recogniser, reads);
  ASSERT_EQ(recogniser.Now(), State::kRecognised);
  EXPECT_EQ(recogniser.Found()->world, 16u);
  EXPECT_EQ(recogniser.Found()->ranks, (std::vector<uint32_t>{4, 5, 6, 7}));
  EXPECT_EQ(recogniser.Found()->deal, (WorkerDeal{8, 2}));
}

TEST_F(RecogniserTest, ReadsThatThePageCacheHidAreNoContradiction) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 20'000;
  Recogniser recogniser({.sample_count = n, .effort = RecogniseEffort::kCheap});
  LoaderShape shape{.split = {.world = 2, .rank = 0}, .deal = {32, 4}};
  for (uint32_t epoch = 0; epoch < 4; ++epoch) {
    auto reads = ReadsOf(Expand(Seeded(n, epoch)), shape, random_);
    // The first epoch is seen whole; of the later ones a tenth.
    if (epoch > 0) std::erase_if(reads, [&](auto&) { return random_() % 10 != 0; });
    Tell(recogniser, reads);
    ASSERT_EQ(recogniser.Now(), State::kRecognised) << "epoch " << epoch;
    ASSERT_EQ(recogniser.Found()->order, Seeded(n, epoch));
    ASSERT_EQ(recogniser.WhyDropped(), "");
    shape.first_thread_id += 10;
  }
}

TEST_F(RecogniserTest, APlanIsDroppedAtTheFirstReadThatContradictsIt) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 1'000;
  auto const entries = Expand(Seeded(n, 5));
  auto const reads = ReadsOf(entries, {}, random_);
  Recogniser recogniser({.sample_count = n, .effort = RecogniseEffort::kCheap});
  Tell(recogniser, std::span(reads).first(100));
  ASSERT_EQ(recogniser.Now(), State::kRecognised);
  recogniser.OnRead(reads[0].reader, entries[50]);
  EXPECT_NE(recogniser.Now(), State::kRecognised);
  EXPECT_NE(recogniser.WhyDropped(), "");
  EXPECT_EQ(recogniser.MakePlan(0, Nodes(n)), nullptr);
  // And taken up again when the order goes on after all.
  Tell(recogniser, std::span(reads).subspan(100, 100));
  EXPECT_EQ(recogniser.Now(), State::kRecognised);
}

TEST_F(RecogniserTest, AWrongPredictionIsDroppedAtItsFirstReadsAndTheRightOrderFound) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 2'000;
  Recogniser recogniser({.sample_count = n, .effort = RecogniseEffort::kCheap});
  LoaderShape shape{.deal = {16, 2}};
  for (uint32_t const seed : {10u, 11u, 5'000u}) {
    recogniser.BeginEpoch();
    EXPECT_EQ(recogniser.Now(), seed == 5'000 ? State::kPredicted : State::kWatching);
    auto const reads = ReadsOf(Expand(Seeded(n, seed)), shape, random_);
    Tell(recogniser, std::span(reads).first(64));
    ASSERT_EQ(recogniser.Now(), State::kRecognised) << seed;
    ASSERT_EQ(recogniser.Found()->order.seed, seed);
    Tell(recogniser, std::span(reads).subspan(64), 0);
    shape.first_thread_id += 10;
  }
  EXPECT_NE(recogniser.WhyDropped(), "");
}

TEST_F(RecogniserTest, OtherReadersBesideTheJobChangeNothing) {
  SCOPED_TRACE(Trace());
  uint32_t const n = 3'000;
  auto const reads = ReadsOf(Expand(Seeded(n, 5)), {.deal = {16, 2}}, random_);
  Recogniser recogniser({.sample_count = n, .effort = RecogniseEffort::kCheap});
  for (size_t i = 0; i < reads.size(); ++i) {
    recogniser.OnRead(reads[i].reader, reads[i].index);
    if (i % 5 == 0) recogniser.OnRead({7}, random_() % n);
    while (i < 100 && recogniser.Work()) {
    }
  }
  EXPECT_EQ(recogniser.Now(), State::kRecognised) << recogniser.WhyDropped();
}

TEST_F(RecogniserTest, HostileReadsAreHarmless) {
  SCOPED_TRACE(Trace());
  for (uint32_t const n : {0u, 1u, 31u, 32u, 1'000u, kRandpermCountMax, UINT32_MAX}) {
    bool const possible = n >= kSampleCountMin && n < kRandpermCountMax;
    Recogniser recogniser({.sample_count = n, .effort = RecogniseEffort::kCheap});
    for (int i = 0; i < 3'000; ++i) {
      cache::ReaderId const reader{uint32_t(random_() % (i % 2 == 0 ? 3 : 5'000))};
      uint32_t const index = i % 3 == 0 ? uint32_t(random_()) : uint32_t(random_() % (n + 1ull));
      recogniser.OnRead(reader, i % 7 == 0 ? 1 : index);
      if (i == 100 && possible) recogniser.Work();
      if (i % 1'000 == 0) recogniser.BeginEpoch();
    }
    EXPECT_EQ(recogniser.Now(), State::kWatching);
    EXPECT_FALSE(recogniser.Found());
    EXPECT_GT(recogniser.IgnoredCount(), 0u);
  }
}

TEST_F(RecogniserTest, FewerThan32SamplesAreNeverRecognised) {
  SCOPED_TRACE(Trace());
  auto const reads = ReadsOf(Expand(Seeded(31, 0)), {}, random_);
  Recogniser recogniser({.sample_count = 31});
  Tell(recogniser, reads);
  EXPECT_EQ(recogniser.Now(), State::kWatching);
}

TEST_F(RecogniserTest, ThirtyTwoSamplesAreRecognisedWithinAnEpoch) {
  SCOPED_TRACE(Trace());
  auto const reads = ReadsOf(Expand(Seeded(32, 9)), {}, random_);
  Recogniser recogniser({.sample_count = 32, .effort = RecogniseEffort::kCheap});
  Tell(recogniser, std::span(reads).first(24));
  ASSERT_EQ(recogniser.Now(), State::kRecognised);
  EXPECT_EQ(recogniser.Found()->order.seed, 9u);
}

}  // namespace
}  // namespace stokefs::hints
