#include "hints/worker_deal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace stokefs::hints {
namespace {

// The progress that positions show, as a hypothesis records it.
ReaderProgress ProgressOf(std::span<const uint32_t> positions) {
  ReaderProgress progress{.first = positions[0], .run_count = 1};
  for (size_t i = 1; i < positions.size() && progress.jump == 0; ++i) {
    uint64_t const gap = positions[i] - positions[i - 1];
    gap == 1 ? ++progress.run_count : progress.jump = gap;
  }
  return progress;
}

TEST(WorkerDeal, WorkersTakeEveryWthBatch) {
  WorkerDeal const deal{.batch_size = 2, .workers = 3};
  EXPECT_EQ(WorkerPositions(deal, 0, 9), (std::vector<uint32_t>{0, 1, 6, 7}));
  EXPECT_EQ(WorkerPositions(deal, 1, 9), (std::vector<uint32_t>{2, 3, 8}));
  EXPECT_EQ(WorkerPositions(deal, 2, 9), (std::vector<uint32_t>{4, 5}));
}

TEST(WorkerDeal, IsInferredFromWhatReadersShow) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    WorkerDeal const deal{.batch_size = 1 + uint32_t(random() % 100),
                          .workers = 2 + uint32_t(random() % 10)};
    std::vector<ReaderProgress> readers;
    // Each has read its first batch and one sample more, or the first sample only.
    size_t const read_count = round % 2 == 0 ? deal.batch_size + 1 : 1;
    for (uint32_t worker = 0; worker < deal.workers; ++worker) {
      auto const positions = WorkerPositions(deal, worker, 10'000);
      readers.push_back(ProgressOf(std::span(positions).first(read_count)));
    }
    ASSERT_EQ(InferDeal(readers), deal) << deal.batch_size << " " << deal.workers;
    if (round % 2 == 0) {
      ASSERT_EQ(InferDeal(std::span(readers).last(1)), deal);
    }
  }
}

TEST(WorkerDeal, OneReaderWithoutAJumpHidesTheBatchSize) {
  EXPECT_EQ(InferDeal(std::vector<ReaderProgress>{{.first = 0, .run_count = 500}}),
            (WorkerDeal{.batch_size = 0, .workers = 1}));
  EXPECT_EQ(InferDeal({}), WorkerDeal{});
}

TEST(WorkerDeal, JumpsThatNoDealMakesAreLeftOut) {
  // 5 read, then 7 further: hidden reads.
  EXPECT_EQ(InferDeal(std::vector<ReaderProgress>{{.first = 0, .run_count = 5, .jump = 7}}),
            WorkerDeal{});
}

}  // namespace
}  // namespace stokefs::hints
