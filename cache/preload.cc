#include "cache/preload.h"

#include <algorithm>
#include <chrono>

#include "base/executor.h"
#include "cache/sample_blocks.h"

namespace stokefs::cache {
namespace {

// Until catalog and index are loaded: short, since the first readers come as soon as a mount does.
constexpr std::chrono::milliseconds kLoadPoll(2);
constexpr std::chrono::milliseconds kPoll(100);
// Of the memory budget: what is left is for readers of what is not on the disks yet.
constexpr uint64_t kShareNumerator = 9, kShareDenominator = 10;

}  // namespace

Preload::Preload(Options options, const Catalog& catalog, const DiskTier& disk, ReadPath& read_path)
    : options_(options), catalog_(catalog), disk_(disk), read_path_(read_path) {}

Preload::~Preload() { Stop(); }

void Preload::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Preload::Stop() {
  {
    base::MutexLock lock(state_->mu);
    state_->stopping = true;
    state_->changed.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

bool Preload::IsStopping() const {
  base::MutexLock lock(state_->mu);
  return state_->stopping;
}

// Only a catalog that was kept knows what the disks hold, before a scan that reads would outrun.
bool Preload::AwaitCatalog() {
  for (;;) {
    CatalogProgress const progress = catalog_.Progress();
    bool const is_ready = progress.state == CatalogState::kComplete && !disk_.Usage().loading;
    if (is_ready) return true;
    base::MutexLock lock(state_->mu);
    if (!state_->stopping) state_->changed.WaitFor(state_->mu, kLoadPoll);
    if (state_->stopping) return false;
  }
}

std::vector<Preload::Block> Preload::Collect() const {
  uint64_t const bytes_max = options_.memory_bytes / kShareDenominator * kShareNumerator;
  uint64_t bytes = 0;
  std::vector<Block> blocks;
  auto const visited = catalog_.VisitSamples("", [&](const CatalogSample& sample) {
    SampleBlocks const all{sample.node, sample.size_bytes, options_.extent_bytes};
    for (uint32_t i = 0; i < all.Count() && bytes < bytes_max; ++i) {
      auto const order = disk_.OrderOnDisk(all.Key(i));
      if (!order) continue;
      blocks.push_back({*order, all.Key(i)});
      bytes += all.SizeOf(i);
    }
    return bytes < bytes_max && !IsStopping();
  });
  if (!visited) return {};
  std::sort(blocks.begin(), blocks.end(),
            [](const Block& a, const Block& b) { return a.order < b.order; });
  return blocks;
}

void Preload::Run() {
  base::PrepareThread("preload");
  if (!AwaitCatalog()) return;
  std::vector<Block> const blocks = Collect();
  std::vector<BlockKey> keys;
  size_t const portion = std::max<size_t>(1, options_.window_count / 2);
  for (size_t next = 0; next < blocks.size();) {
    {
      base::MutexLock lock(state_->mu);
      // Portions of half a window, so that neighbours on the disk are asked for together.
      while (!state_->stopping && state_->in_flight > portion) {
        state_->changed.Wait(state_->mu);
      }
      if (state_->stopping || state_->is_full) return;
    }
    keys.clear();
    size_t const end = std::min(blocks.size(), next + portion);
    for (size_t i = next; i < end; ++i) keys.push_back(blocks[i].key);
    {
      base::MutexLock lock(state_->mu);
      state_->in_flight += keys.size();
    }
    size_t const taken = read_path_.Prefetch(
        keys, RoomRule::kFreeRoom, [state = state_](BlockKey, const base::Status& status) {
          if (status) state->loaded.Add();
          base::MutexLock lock(state->mu);
          --state->in_flight;
          state->is_full =
              state->is_full || (!status && status.error().code == std::errc::not_enough_memory);
          state->changed.SignalAll();
        });
    next += taken;
    base::MutexLock lock(state_->mu);
    state_->in_flight -= keys.size() - taken;
    if (taken == 0 && !state_->stopping) state_->changed.WaitFor(state_->mu, kPoll);
  }
}

}  // namespace stokefs::cache
