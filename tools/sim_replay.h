// A run's reads, told one by one to a policy and the memory that it steers.
#pragma once

#include <cstdint>
#include <memory>

#include "cache/epoch_policy.h"
#include "tools/sim_memory.h"
#include "tools/sim_trace.h"

namespace stokefs::tools {

// Ours, told of the trace's weights.
std::unique_ptr<cache::EpochPolicy> MakeEpochPolicy(const cache::DatasetShape& shape,
                                                    uint64_t capacity_bytes, const Trace& trace);

struct ReplayOptions {
  TraceFuture* future = nullptr;  // moved along with the reads
  bool order_is_known = false;    // ours is told each epoch's order when it begins
};

// `memory` is `policy`'s. It counts from the trace's last epoch on.
void Replay(const Trace& trace, cache::SamplePolicy& policy, ReplayOptions options,
            SimMemory& memory);

}  // namespace stokefs::tools
