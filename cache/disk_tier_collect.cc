// From the origin's fetches into bundles, with a pause for the origin when that goes too fast.
#include <algorithm>

#include "cache/disk_tier_impl.h"

namespace stokefs::cache {
namespace {

// While a disk makes this little progress, the origin is not kept waiting for it.
constexpr std::chrono::seconds kPatience(1);
// Larger extents are not kept on disk: they would be copied beside the memory budget.
constexpr size_t kBlockBytesKeptMax = 32u << 20;
// Blocks that wait for room in the collector: their keys only, the bytes are in memory.
constexpr size_t kDeferredMax = 65536;
// How often whoever flushes looks again.
constexpr std::chrono::milliseconds kPeriod(200);

}  // namespace

void DiskTier::Impl::OnFetched(const FetchedBlock& block) {
  {
    base::MutexLock lock(mu_);
    if (stopping_ || !AnyHealthy()) {
      statistics_.skipped.Add();
      return;
    }
  }
  bool const is_collected = Collect(block);
  base::MutexLock lock(mu_);
  if (collector_.SealedCount() > 0) work_or_stop_.SignalAll();
  if (is_collected) return;
  if (deferred_.size() >= kDeferredMax) {
    statistics_.skipped.Add();
    return;
  }
  deferred_.push_back(block.key);
  is_deferring_.store(true, std::memory_order_relaxed);
}

// False: no room now.
bool DiskTier::Impl::Collect(const FetchedBlock& block) {
  std::optional<Located> const located = LocateBlock(block.key);
  if (!located || block.bytes.empty()) return true;
  if (block.bytes.size() > kBlockBytesKeptMax) {
    statistics_.skipped.Add();
    return true;
  }
  {
    base::MutexLock lock(mu_);
    if (index_.Find(located->name)) return true;
  }
  ChunkEntry const entry{.sample = located->sample,
                         .extent = block.key.index,
                         .size_bytes = static_cast<uint32_t>(block.bytes.size()),
                         .digest = block.digest,
                         .tag = located->name.tag,
                         .mtime_ns = located->version.mtime_ns};
  base::TimePoint const now = clock_.Now();
  // The writers' time counts from when they have something to do.
  if (collector_.IsEmpty()) {
    last_progress_ns_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  return collector_.Add(entry, block.bytes, now) != DiskCollector::Added::kFull;
}

bool DiskTier::Impl::WantsPause() const {
  if (!collector_.IsNearlyFull() && !is_deferring_.load(std::memory_order_relaxed)) return false;
  base::Duration const now = clock_.Now().time_since_epoch();
  return now.count() - last_progress_ns_.load(std::memory_order_relaxed) <
         base::Duration(kPatience).count();
}

// What had to wait goes to the collector now, as far as memory still has it.
void DiskTier::Impl::AddDeferred() {
  for (;;) {
    BlockKey key;
    {
      base::MutexLock lock(mu_);
      if (deferred_.empty()) {
        is_deferring_.store(false, std::memory_order_relaxed);
        return;
      }
      key = deferred_.front();
    }
    std::optional<Lease> const lease = memory_.Peek(key);
    bool const is_added =
        !lease || Collect({.key = key, .bytes = lease->bytes(), .digest = lease->digest()});
    if (!is_added) return;
    if (!lease) statistics_.skipped.Add();
    base::MutexLock lock(mu_);
    if (!deferred_.empty() && deferred_.front() == key) deferred_.pop_front();
  }
}

void DiskTier::Impl::Flush(base::Duration limit) {
  auto const end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    AddDeferred();
    collector_.Seal(base::TimePoint::max());
    base::MutexLock lock(mu_);
    work_or_stop_.SignalAll();
    auto const left = end - std::chrono::steady_clock::now();
    bool const is_empty = deferred_.empty() && collector_.IsEmpty();
    if (is_empty || stopping_ || left <= base::Duration()) return;
    changed_.WaitFor(mu_, std::min<base::Duration>(left, kPeriod));
  }
}

}  // namespace stokefs::cache
