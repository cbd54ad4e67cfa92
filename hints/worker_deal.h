// How DataLoader deals a rank's sequence to its workers: worker w of W takes batches w, w + W, ...
//
// Batch size and W are not told; they show in where readers start (w * batch) and in how far a
// reader jumps when its batch is done ((W - 1) * batch + 1). Without workers (W = 0 in PyTorch) one
// thread reads all, nothing jumps, and the batch size cannot be seen.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stokefs::hints {

struct WorkerDeal {
  uint32_t batch_size = 0;  // 0: not known
  uint32_t workers = 0;     // readers that share the rank's sequence; 0: not known

  bool operator==(const WorkerDeal&) const = default;
};

// Positions of the rank's sequence (`length` of them) that worker w reads, in order.
std::vector<uint32_t> WorkerPositions(const WorkerDeal& deal, uint32_t worker, uint32_t length);

// What one reader's positions in its rank's sequence have shown so far.
struct ReaderProgress {
  uint64_t first = 0;      // where it began
  uint64_t run_count = 0;  // positions read without a gap before `jump`, or so far
  uint64_t jump = 0;       // the first gap larger than 1; 0: none yet
};

// The deal that explains the readers of one rank; unknown parts are 0. Reads hidden by the page
// cache look like jumps: what does not fit a deal is left out.
WorkerDeal InferDeal(std::span<const ReaderProgress> readers);

}  // namespace stokefs::hints
