// What the daemon sees of a PyTorch job: each worker's batches in order, the workers side by side.
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <span>
#include <vector>

#include "cache/ids.h"
#include "hints/rank_split.h"
#include "hints/recogniser.h"
#include "hints/worker_deal.h"

namespace stokefs::testing {

struct SampleRead {
  cache::ReaderId reader;
  uint32_t index = 0;
};

struct LoaderShape {
  hints::RankSplit split;
  hints::WorkerDeal deal{.batch_size = 16, .workers = 1};
  uint32_t first_thread_id = 1000;  // worker w is thread first_thread_id + w
};

// The reads of one rank's loader in one epoch; a round of batches at a time, in any interleaving.
inline std::vector<SampleRead> ReadsOf(std::span<const uint32_t> order, const LoaderShape& shape,
                                       std::mt19937& random) {
  auto const sequence = hints::RankSequence(order, shape.split);
  std::vector<std::deque<uint32_t>> batches(shape.deal.workers);
  std::vector<SampleRead> reads;
  uint64_t const round = uint64_t{shape.deal.batch_size} * shape.deal.workers;
  for (uint64_t begin = 0; begin < sequence.size(); begin += round) {
    uint64_t const end = std::min<uint64_t>(begin + round, sequence.size());
    for (uint64_t at = begin; at < end; ++at)
      batches[(at - begin) / shape.deal.batch_size].push_back(sequence[at]);
    for (uint64_t left = end - begin; left > 0;) {
      uint32_t const worker = random() % shape.deal.workers;
      if (batches[worker].empty()) continue;
      reads.push_back({{shape.first_thread_id + worker}, batches[worker].front()});
      batches[worker].pop_front();
      --left;
    }
  }
  return reads;
}

// Tells the reads, and does all work there is after each of the first `worked` reads and at the
// end.
inline void Tell(hints::Recogniser& recogniser, std::span<const SampleRead> reads,
                 size_t worked = 200) {
  for (size_t i = 0; i < reads.size(); ++i) {
    recogniser.OnRead(reads[i].reader, reads[i].index);
    while (i < worked && recogniser.Work()) {
    }
  }
  while (recogniser.Work()) {
  }
}

}  // namespace stokefs::testing
