// Seeds a second of the search over all seeds, and the time that all 2^32 take: on a GPU, where one
// is, all of them; on one core, for each instruction set that this CPU has, a part of them. Filters
// as the recogniser makes them: readers that may each have read the first batch, after a plain
// generator's output 0 or a loader's 2; and a reader with the first batch of any of 64 ranks.
#include <benchmark/benchmark.h>

#include <iostream>
#include <string>
#include <vector>

#include "hints/cuda_seed_accelerator.h"
#include "hints/hypothesis.h"
#include "hints/seed_search.h"
#include "hints/small_seed_source.h"

namespace stokefs::hints {
namespace {

SeedFilter FilterFor(uint32_t reader_count, uint32_t sample_count) {
  std::vector<std::vector<OutputRemainder>> groups;
  for (uint32_t reader = 0; reader < reader_count; ++reader) {
    for (uint32_t output : {0u, 2u})
      groups.push_back({{output, (reader * 12'345 + 678) % sample_count, sample_count}});
  }
  return SeedFilter(groups);
}

SeedFilter RanksFilter(uint32_t sample_count) {
  std::vector<std::vector<OutputRemainder>> groups;
  for (uint32_t rank = 0; rank < 64; ++rank) groups.push_back({{rank, 678, sample_count - rank}});
  return SeedFilter(groups);
}

constexpr int64_t kRanks = 0;  // in place of a number of readers

// `seed_count` an iteration.
void Search(benchmark::State& state, SeedScanner& scanner, uint64_t seed_count) {
  auto const readers = static_cast<uint32_t>(state.range(0));
  auto const filter = readers == kRanks ? RanksFilter(60'000) : FilterFor(readers, 60'000);
  std::vector<uint32_t> passed;
  while (state.KeepRunning()) {
    SeedSearch search(filter, scanner, {.end = seed_count});
    while (!search.Done()) {
      passed.clear();
      search.Step(passed);
      benchmark::DoNotOptimize(passed.data());
    }
  }
  if (!scanner.WhyOnCpu().empty()) state.SkipWithError(scanner.WhyOnCpu().c_str());
  auto const seeds = static_cast<double>(seed_count) * static_cast<double>(state.iterations());
  state.counters["seeds/s"] = benchmark::Counter(seeds, benchmark::Counter::kIsRate);
  state.counters["s_for_2^32"] = benchmark::Counter(
      seeds / 4294967296.0, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// All small seeds (0 to 10,000, in each place) against readers whose order none of them made.
void SmallSeeds(benchmark::State& state) {
  auto const sample_count = static_cast<uint32_t>(state.range(0));
  std::vector<Opening> openings;
  for (uint32_t reader = 0; reader < state.range(1); ++reader) {
    auto& opening = openings.emplace_back(Opening{{reader}, {}});
    for (uint32_t i = 1; i <= 4; ++i)
      opening.indices.push_back((reader * 1'234'577 + i * 7'654'321) % sample_count);
  }
  while (state.KeepRunning()) {
    SmallSeedSource source(sample_count, openings, SmallSeedSource::Where::kFirstBatch);
    std::vector<Candidate> found;
    while (source.Step(found)) {
    }
    benchmark::DoNotOptimize(found.data());
  }
}
BENCHMARK(SmallSeeds)
    ->ArgNames({"samples", "readers"})
    ->Args({60'000, 1})
    ->Args({60'000, 8})
    ->Args({1'281'167, 8})
    ->Iterations(2)
    ->Repetitions(4)
    ->Unit(benchmark::kMillisecond);

// What an epoch costs once the order is known: its permutation, made and inverted.
void KnownEpoch(benchmark::State& state) {
  auto const sample_count = static_cast<uint32_t>(state.range(0));
  Candidate const candidate{{OrderKind::kSeeded, sample_count, 5, 0}, 1, -1};
  while (state.KeepRunning()) {
    Hypothesis hypothesis(candidate, Expand(candidate.order));
    benchmark::DoNotOptimize(hypothesis.Now());
  }
}
BENCHMARK(KnownEpoch)
    ->ArgName("samples")
    ->Arg(60'000)
    ->Arg(1'281'167)
    ->Iterations(2)
    ->Repetitions(4)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stokefs::hints

int main(int argc, char** argv) {
  using stokefs::hints::CudaSeedAccelerator;
  using stokefs::hints::SeedKernels;
  using stokefs::hints::SeedScanner;
  auto const add = [](const std::string& name, SeedScanner scanner, uint64_t seed_count) {
    return benchmark::RegisterBenchmark(name.c_str(),
                                        [=](benchmark::State& state) mutable {
                                          stokefs::hints::Search(state, scanner, seed_count);
                                        })
        ->ArgName("readers")
        ->Arg(1)
        ->Arg(4)
        ->Arg(stokefs::hints::kRanks)
        ->Repetitions(5)
        ->Unit(benchmark::kMillisecond);
  };
  for (auto const& kernel : SeedKernels())
    add(std::string("Search/") + kernel.name, SeedScanner(kernel), 1 << 20)->Iterations(8);
  auto const gpu = CudaSeedAccelerator::Open({});
  if (gpu) {
    std::cout << "cuda: " << (*gpu)->DeviceName() << "\n";
    add("Search/cuda", SeedScanner(SeedKernels().front(), gpu->get()), uint64_t{1} << 32)
        ->Iterations(2)
        ->UseRealTime();
  } else {
    std::cout << "cuda: not measured: " << gpu.error().message << "\n";
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
