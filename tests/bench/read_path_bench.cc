// What a hit costs in the read path, without any kernel: ns a READ of 4 KiB out of 2,000 blocks.
//
//   build/tests/bench/read_path_bench
#include <benchmark/benchmark.h>

#include <random>

#include "cache/lru_policy.h"
#include "cache/read_path.h"
#include "tests/support/fake_layout.h"
#include "tests/support/fake_source.h"

namespace stokefs::cache {
namespace {

constexpr uint32_t kFileCount = 2000;
constexpr uint32_t kFileBytes = 4096;

// All files in memory, and how one is read.
class Warm {
 public:
  Warm() {
    for (uint32_t i = 0; i < kFileCount; ++i) layout_.size_bytes[NodeId{i + 2}] = kFileBytes;
    path_ = std::make_unique<ReadPath>(ReadPath::Options{}, layout_, *memory_,
                                       std::vector<ReadPath::Source>{{&source_, {}}},
                                       std::vector<ReadEventQueue*>{}, clock_);
    for (uint32_t i = 0; i < kFileCount; ++i) {
      path_->Read({.node = NodeId{i + 2}, .size_bytes = kFileBytes}, [](auto) {});
      source_.AnswerAll();
    }
  }
  ReadPath& path() { return *path_; }
  MemoryTier& memory() { return *memory_; }

 private:
  LruPolicy policy_;
  std::unique_ptr<MemoryTier> memory_ = std::move(*MemoryTier::Create(64 << 20, policy_));
  testing::FakeLayout layout_;
  testing::FakeSource source_;
  base::SteadyClock clock_;
  std::unique_ptr<ReadPath> path_;
};

Warm& TheWarm() {
  static Warm warm;
  return warm;
}

NodeId RandomNode(std::minstd_rand& random) {
  return {static_cast<uint32_t>(random()) % kFileCount + 2};
}

void BM_HitThroughReadPath(benchmark::State& state) {
  std::minstd_rand random(static_cast<unsigned>(state.thread_index()) + 1);
  uint64_t bytes = 0;
  while (state.KeepRunning()) {
    TheWarm().path().Read({.node = RandomNode(random), .size_bytes = kFileBytes},
                          [&](base::Result<ReadReply> reply) { bytes += reply->SizeBytes(); });
  }
  if (bytes != static_cast<uint64_t>(state.iterations()) * kFileBytes)
    state.SkipWithError("a miss");
}
BENCHMARK(BM_HitThroughReadPath)->Threads(1)->Threads(2)->UseRealTime();

// The memory tier alone, for comparison.
void BM_FindInMemoryTier(benchmark::State& state) {
  std::minstd_rand random(static_cast<unsigned>(state.thread_index()) + 1);
  while (state.KeepRunning()) {
    auto lease = TheWarm().memory().Find({RandomNode(random), 0}, {});
    benchmark::DoNotOptimize(lease);
  }
}
BENCHMARK(BM_FindInMemoryTier)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace stokefs::cache

BENCHMARK_MAIN();
