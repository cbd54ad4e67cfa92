// A sink that counts what it is told and asks for a pause when the test says so. Thread-safe.
#pragma once

#include <atomic>
#include <map>

#include "base/sync.h"
#include "cache/digest.h"
#include "cache/fetch_sink.h"
#include "tests/support/block_bytes.h"

namespace stokefs::testing {

class FakeSink final : public cache::FetchSink {
 public:
  void OnFetched(const cache::FetchedBlock& block) override {
    bool const right =
        block.digest == cache::DigestOf(block.bytes) && HoldsBlock(block.bytes, block.key);
    base::MutexLock lock(mu_);
    ++told_[block.key];
    if (!right) ++wrong_count_;
    tier_ = block.tier;
  }
  bool WantsPause() const override { return paused_.load(); }

  void SetPaused(bool paused) { paused_.store(paused); }

  size_t ToldCount() const {
    base::MutexLock lock(mu_);
    size_t count = 0;
    for (auto const& [key, times] : told_) count += times;
    return count;
  }
  size_t ToldCount(cache::BlockKey key) const {
    base::MutexLock lock(mu_);
    auto const at = told_.find(key);
    return at == told_.end() ? 0 : at->second;
  }
  // Told with bytes or a digest that are not the block's.
  size_t WrongCount() const {
    base::MutexLock lock(mu_);
    return wrong_count_;
  }
  cache::Tier LastTier() const {
    base::MutexLock lock(mu_);
    return tier_;
  }

 private:
  std::atomic<bool> paused_{false};
  mutable base::Mutex mu_;
  std::map<cache::BlockKey, size_t> told_ GUARDED_BY(mu_);
  size_t wrong_count_ GUARDED_BY(mu_) = 0;
  cache::Tier tier_ GUARDED_BY(mu_) = cache::Tier::kMemory;
};

}  // namespace stokefs::testing
