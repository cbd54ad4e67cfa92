// What the memory tier costs each READ and each fetch.
// Run: build/tests/bench/memory_tier_bench
#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <vector>

#include "cache/lru_policy.h"
#include "cache/memory_tier.h"

namespace stokefs::cache {
namespace {

constexpr uint64_t kMiB = 1 << 20;

struct Filled {
  LruPolicy policy;
  std::unique_ptr<MemoryTier> tier;

  Filled(uint64_t budget_bytes, uint32_t block_count, uint64_t block_bytes)
      : tier(std::move(*MemoryTier::Create(budget_bytes, policy))) {
    for (uint32_t node = 0; node < block_count; ++node)
      tier->Publish(*tier->Reserve(block_bytes), {NodeId{node}, 0}, 0);
  }
};

// A read of a random block that is here, its lease dropped at once. Argument: blocks cached.
void BM_FindAndDrop(benchmark::State& state) {
  static std::unique_ptr<Filled> filled;
  auto const count = static_cast<uint32_t>(state.range(0));
  if (state.thread_index() == 0)
    filled = std::make_unique<Filled>(count * uint64_t{512} + kMiB, count, 500);
  std::minstd_rand random(static_cast<unsigned>(state.thread_index()) + 1);
  uint64_t found_count = 0;
  while (state.KeepRunning()) {
    auto const lease = filled->tier->Find({NodeId{static_cast<uint32_t>(random() % count)}, 0}, {});
    found_count += lease->Valid() ? 1 : 0;
  }
  benchmark::DoNotOptimize(found_count);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(BM_FindAndDrop)->Arg(1000)->Arg(1'000'000)->ThreadRange(1, 2)->UseRealTime();

void BM_FindNothing(benchmark::State& state) {
  Filled filled(kMiB * 64, 100'000, 500);
  uint32_t node = 1'000'000;
  while (state.KeepRunning()) benchmark::DoNotOptimize(filled.tier->Find({NodeId{++node}, 0}, {}));
}
BENCHMARK(BM_FindNothing);

// Each new block evicts as much as it needs. Arguments: mean size (drawn from half to one and a
// half of it), budget in MiB.
void BM_ReserveAndPublishWhenFull(benchmark::State& state) {
  auto const mean = static_cast<uint64_t>(state.range(0));
  uint64_t const budget_bytes = static_cast<uint64_t>(state.range(1)) * kMiB;
  Filled filled(budget_bytes, static_cast<uint32_t>(2 * budget_bytes / mean), mean);
  std::minstd_rand random(1);
  uint32_t node = 1u << 31;
  while (state.KeepRunning()) {
    auto reservation = filled.tier->Reserve(mean / 2 + random() % mean);
    filled.tier->Publish(std::move(*reservation), {NodeId{++node}, 0}, 0);
  }
  MemoryUsage const usage = filled.tier->Usage();
  state.counters["payload_share"] =
      static_cast<double>(usage.payload_bytes) / static_cast<double>(usage.budget_bytes);
}
BENCHMARK(BM_ReserveAndPublishWhenFull)->Args({500, 64})->Args({500, 512})->Args({110'000, 4096});

}  // namespace
}  // namespace stokefs::cache

BENCHMARK_MAIN();
