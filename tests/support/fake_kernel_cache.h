// Records what the kernel would have been told.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/sync.h"
#include "cache/kernel_cache.h"

namespace stokefs::testing {

// Thread-safe.
class FakeKernelCache final : public cache::KernelCache {
 public:
  struct Pushed {
    cache::NodeId node;
    uint64_t offset = 0;
    std::vector<std::byte> bytes;
  };

  base::Status Push(cache::NodeId node, uint64_t offset,
                    std::span<const std::byte> bytes) override {
    base::MutexLock lock(mu_);
    pushed_.push_back({node, offset, {bytes.begin(), bytes.end()}});
    return {};
  }
  base::Status Drop(cache::NodeId node) override {
    base::MutexLock lock(mu_);
    dropped_.push_back(node);
    return {};
  }
  base::Status DropName(cache::NodeId folder, std::string_view name) override {
    base::MutexLock lock(mu_);
    dropped_names_.emplace_back(folder, name);
    return {};
  }

  std::vector<Pushed> AllPushed() const {
    base::MutexLock lock(mu_);
    return pushed_;
  }
  std::vector<cache::NodeId> Dropped() const {
    base::MutexLock lock(mu_);
    return dropped_;
  }
  std::vector<std::pair<cache::NodeId, std::string>> DroppedNames() const {
    base::MutexLock lock(mu_);
    return dropped_names_;
  }

 private:
  mutable base::Mutex mu_;
  std::vector<Pushed> pushed_ GUARDED_BY(mu_);
  std::vector<cache::NodeId> dropped_ GUARDED_BY(mu_);
  std::vector<std::pair<cache::NodeId, std::string>> dropped_names_ GUARDED_BY(mu_);
};

}  // namespace stokefs::testing
