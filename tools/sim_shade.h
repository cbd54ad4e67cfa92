// SHADE as a whole: its sampler decides what an epoch reads, from its weights and from what is in
// memory, so it cannot be run over a given trace.
//
// An epoch draws as many samples as there are, with replacement, by their weights. Those drawn that
// are in memory are repeated `replication` times, and the rest of the epoch is filled with those
// that are not. Each sample has a difficulty (lognormal), each visit a loss around it.
#pragma once

#include <cstdint>

#include "tools/sim_memory.h"

namespace stokefs::tools {

struct ShadeRun {
  const cache::DatasetShape* shape = nullptr;
  uint64_t capacity_samples = 0;
  uint32_t epoch_count = 1;
  double replication = 1;  // at least 1
  uint64_t seed = 1;
};

// What the last epoch counted.
SimMemory::Counts RunShade(const ShadeRun& run);

}  // namespace stokefs::tools
