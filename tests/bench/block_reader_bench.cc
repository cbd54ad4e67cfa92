// Random reads of a cold file: io_uring with O_DIRECT, threads with O_DIRECT, threads through the
// page cache (emptied before each round). TMPDIR says which disk. `us` is time a read (the round's
// by its reads), `cpu_us` the CPU that it cost; look at the medians.
// Run: build/tests/bench/block_reader_bench --benchmark_enable_random_interleaving=true
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <semaphore>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/block_reader.h"
#include "base/check.h"
#include "base/real_storage.h"
#include "base/sync.h"
#include "tests/support/temp_dir.h"

namespace stokefs::base {
namespace {

constexpr size_t kFileBytes = 512u << 20;
constexpr size_t kRoundBytesMax = 256u << 20;
constexpr size_t kRoundReadsMax = 4000;
constexpr int kRounds = 9;

enum class Way : uint8_t { kUringDirect, kThreadsDirect, kThreadsBuffered };

const char* NameOf(Way way) {
  switch (way) {
    case Way::kUringDirect:
      return "io_uring+O_DIRECT";
    case Way::kThreadsDirect:
      return "threads+O_DIRECT";
    case Way::kThreadsBuffered:
      return "threads+page cache";
  }
  return "";
}

class TestFile {
 public:
  TestFile() {
    AlignedBuffer buffer(kFileBytes);
    std::mt19937_64 random(1);
    for (size_t i = 0; i < kFileBytes; i += sizeof(uint64_t)) {
      uint64_t const word = random();
      std::memcpy(buffer.bytes().data() + i, &word, sizeof(word));
    }
    auto const written = storage_.WriteNew(path_, buffer.bytes());
    STOKEFS_CHECK(written.has_value());
  }

  // With nothing of it in the page cache.
  std::shared_ptr<const ReadableFile> OpenCold(bool direct) {
    auto fd = storage_.OpenToRead(path_, direct ? O_DIRECT : 0);
    STOKEFS_CHECK(fd.has_value());
    STOKEFS_CHECK(posix_fadvise(fd->Get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
    return std::make_shared<const ReadableFile>(
        ReadableFile{.fd = std::move(*fd), .is_direct = direct});
  }

  Status direct() { return storage_.TryDirectReads(folder_.path()); }

 private:
  testing::TempDir folder_;
  const std::string path_ = folder_ / "file";
  RealStorage storage_;
};

// Keeps `depth` reads under way until `count` are done.
void ReadMany(BlockReader& reader, const std::shared_ptr<const ReadableFile>& file, size_t bytes,
              size_t depth, size_t count, std::mt19937_64& random) {
  AlignedBuffer memory(depth * bytes);
  Mutex mutex;
  std::vector<size_t> free;
  std::counting_semaphore<> free_count(0);
  for (size_t i = 0; i < depth; ++i) {
    free.push_back(i);
    free_count.release();
  }
  for (size_t n = 0; n < count; ++n) {
    free_count.acquire();
    size_t slot = 0;
    {
      MutexLock lock(mutex);
      slot = free.back();
      free.pop_back();
    }
    std::vector<BlockRead> reads;
    reads.push_back({.file = file,
                     .offset = random() % (kFileBytes - bytes),
                     .into = memory.bytes().subspan(slot * bytes, bytes),
                     .done = [&, slot](const Status& status) {
                       STOKEFS_CHECK(status.has_value());
                       {
                         MutexLock lock(mutex);
                         free.push_back(slot);
                       }
                       free_count.release();
                     }});
    reader.Submit(std::move(reads));
  }
  for (size_t i = 0; i < depth; ++i) free_count.acquire();
}

std::unique_ptr<BlockReader> MakeReader(Way way) {
  if (way != Way::kUringDirect) return MakeThreadReader({});
  auto reader = MakeUringReader({});
  return reader ? std::move(*reader) : nullptr;
}

double CpuMicroseconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto const us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(used.ru_utime) + us(used.ru_stime);
}

// Arguments: KiB a read, reads under way, Way.
void BM_ReadRandomly(benchmark::State& state) {
  static TestFile test_file;
  auto const bytes = static_cast<size_t>(state.range(0)) << 10;
  auto const depth = static_cast<size_t>(state.range(1));
  auto const way = static_cast<Way>(state.range(2));
  state.SetLabel(NameOf(way));
  bool const direct = way != Way::kThreadsBuffered;
  auto const reader = MakeReader(way);
  if (reader == nullptr || (direct && !test_file.direct())) {
    state.SkipWithError("not here");
    return;
  }
  size_t const count = std::min(kRoundReadsMax, kRoundBytesMax / bytes) / (depth == 1 ? 4 : 1);
  static uint64_t seed = 0;
  std::mt19937_64 random(++seed);
  double us = 0, cpu_us = 0;
  for ([[maybe_unused]] auto round : state) {
    state.PauseTiming();
    auto const file = test_file.OpenCold(direct);
    double const cpu_before = CpuMicroseconds();
    auto const before = std::chrono::steady_clock::now();
    state.ResumeTiming();
    ReadMany(*reader, file, bytes, depth, count, random);
    us += std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - before)
              .count();
    cpu_us += CpuMicroseconds() - cpu_before;
  }
  auto const reads = static_cast<double>(count) * static_cast<double>(state.iterations());
  state.counters["MB/s"] = reads * static_cast<double>(bytes) / us;
  state.counters["us"] = us / reads;
  state.counters["cpu_us"] = cpu_us / reads;
}

BENCHMARK(BM_ReadRandomly)
    ->ArgNames({"KiB", "depth", "way"})
    ->ArgsProduct({{2, 112, 1024}, {1, 64}, {0, 1, 2}})
    ->Iterations(1)
    ->Repetitions(kRounds)
    ->ReportAggregatesOnly(true)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stokefs::base

BENCHMARK_MAIN();
