// What was recognised of an epoch, as statistics show it. A plain value.
#pragma once

#include <cstdint>
#include <vector>

#include "hints/shuffle_order.h"
#include "hints/worker_deal.h"

namespace stokefs::hints {

struct Finding {
  ShuffleOrder order;
  uint32_t world = 1;
  std::vector<uint32_t> ranks;  // those whose readers are seen here, ascending
  WorkerDeal deal;              // of the first of them
  uint64_t read_count = 0;      // of the epoch, when it became certain (predicted: 0)
  double evidence_log10 = 0;    // of a chance match: its inverse

  bool operator==(const Finding&) const = default;
};

}  // namespace stokefs::hints
