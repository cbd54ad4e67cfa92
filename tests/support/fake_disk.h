// A disk tier in memory: a set of blocks, steered as the real one is. Thread-safe.
#pragma once

#include <iterator>
#include <map>
#include <set>
#include <vector>

#include "base/sync.h"
#include "cache/steered_disk.h"

namespace stokefs::testing {

class FakeDisk final : public cache::SteeredDisk {
 public:
  FakeDisk() {
    usage_.budget_bytes = uint64_t{1} << 40;
    usage_.directories.push_back({.path = "/disk"});
  }

  // The test's side.
  void Put(cache::BlockKey key, uint32_t size_bytes = 1) {
    base::MutexLock lock(mu_);
    blocks_[key] = size_bytes;
    usage_.used_bytes += size_bytes;
  }
  void SetBudget(uint64_t bytes) {
    base::MutexLock lock(mu_);
    usage_.budget_bytes = bytes;
  }
  void SetLoading(bool loading) {
    base::MutexLock lock(mu_);
    usage_.loading = loading;
  }
  void SetState(cache::DirectoryState state) {
    base::MutexLock lock(mu_);
    usage_.directories[0].state = state;
  }
  std::set<cache::BlockKey> Blocks() const {
    base::MutexLock lock(mu_);
    std::set<cache::BlockKey> keys;
    for (auto const& [key, size] : blocks_) keys.insert(key);
    return keys;
  }
  std::set<cache::BlockKey> Pinned() const {
    base::MutexLock lock(mu_);
    return pinned_;
  }
  size_t FlushCount() const {
    base::MutexLock lock(mu_);
    return flush_count_;
  }

  bool Holds(cache::BlockKey key) const override {
    base::MutexLock lock(mu_);
    return blocks_.contains(key);
  }
  std::optional<cache::DiskTier::Place> Locate(cache::BlockKey key) const override {
    base::MutexLock lock(mu_);
    auto const found = blocks_.find(key);
    if (found == blocks_.end()) return std::nullopt;
    return cache::DiskTier::Place{.file = "/disk/file",
                                  .offset = 4096,
                                  .size_bytes = found->second,
                                  .pinned = pinned_.contains(key)};
  }
  cache::DiskUsage Usage() const override {
    base::MutexLock lock(mu_);
    cache::DiskUsage usage = usage_;
    for (auto const& [key, size] : blocks_) usage.block_bytes += size;
    return usage;
  }
  uint64_t Evict(std::span<const cache::BlockKey> keys) override {
    base::MutexLock lock(mu_);
    uint64_t count = 0;
    for (cache::BlockKey const key : keys) count += blocks_.erase(key);
    return count;
  }
  uint64_t EvictAll() override {
    base::MutexLock lock(mu_);
    uint64_t count = 0;
    for (auto at = blocks_.begin(); at != blocks_.end();) {
      bool const stays = pinned_.contains(at->first);
      at = stays ? std::next(at) : blocks_.erase(at);
      if (!stays) ++count;
    }
    return count;
  }
  uint64_t Pin(std::span<const cache::BlockKey> keys) override {
    base::MutexLock lock(mu_);
    pinned_.insert(keys.begin(), keys.end());
    return keys.size();
  }
  uint64_t Unpin(std::span<const cache::BlockKey> keys) override {
    base::MutexLock lock(mu_);
    for (cache::BlockKey const key : keys) pinned_.erase(key);
    return keys.size();
  }
  void Flush() override {
    base::MutexLock lock(mu_);
    ++flush_count_;
  }
  cache::DiskTier::VerifyReport Verify(
      const std::function<bool(const cache::DiskTier::VerifyReport&)>&) override {
    return {};
  }

 private:
  mutable base::Mutex mu_;
  std::map<cache::BlockKey, uint32_t> blocks_ GUARDED_BY(mu_);
  std::set<cache::BlockKey> pinned_ GUARDED_BY(mu_);
  cache::DiskUsage usage_ GUARDED_BY(mu_);
  size_t flush_count_ GUARDED_BY(mu_) = 0;
};

}  // namespace stokefs::testing
