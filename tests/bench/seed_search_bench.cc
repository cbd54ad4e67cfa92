// Seeds a second of the search over all seeds, for each instruction set that this CPU has, on one
// core, and the time that all 2^32 would take. Filters as the recogniser makes them: readers that
// may each have read the first batch, after a plain generator's output 0 or a loader's 2.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

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

void Search(benchmark::State& state, const SeedKernel& kernel) {
  constexpr uint64_t kSlice = uint64_t{1} << 20;
  auto const readers = static_cast<uint32_t>(state.range(0));
  SeedScanner scanner(kernel);
  SeedSearch search(FilterFor(readers, 60'000), scanner);
  std::vector<uint32_t> passed;
  for (auto _ : state) {
    search.Step(kSlice, passed);
    benchmark::DoNotOptimize(passed.data());
    passed.clear();
  }
  auto const seeds = static_cast<double>(kSlice) * static_cast<double>(state.iterations());
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
  for (auto _ : state) {
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
  for (auto _ : state) {
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
  for (auto const& kernel : stokefs::hints::SeedKernels()) {
    benchmark::RegisterBenchmark(
        (std::string("Search/") + kernel.name).c_str(),
        [&kernel](benchmark::State& state) { stokefs::hints::Search(state, kernel); })
        ->ArgName("readers")
        ->Arg(1)
        ->Arg(4)
        ->Iterations(8)
        ->Repetitions(5)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
