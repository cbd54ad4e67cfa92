// A fetcher whose fetches the test ends one by one, or that ends them at once, into a FakeDisk.
// Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/sync.h"
#include "cache/block_fetcher.h"
#include "tests/support/fake_disk.h"

namespace stokefs::testing {

class FakeFetcher final : public cache::BlockFetcher {
 public:
  explicit FakeFetcher(FakeDisk* disk) : disk_(disk) {}

  // Fetches wait until EndNext. From the start they do not.
  void Hold() {
    base::MutexLock lock(mu_);
    holds_ = true;
  }
  void FailNode(cache::NodeId node, std::errc code) {
    base::MutexLock lock(mu_);
    errors_[node] = code;
  }
  void FailAll(std::errc code) {
    base::MutexLock lock(mu_);
    error_of_all_ = code;
  }
  // Only so many are taken until they have ended.
  void SetQueueCountMax(size_t count) {
    base::MutexLock lock(mu_);
    queue_count_max_ = count;
  }
  // Fetched blocks do not reach the disk.
  void LoseAll() {
    base::MutexLock lock(mu_);
    loses_ = true;
  }
  bool EndNext() {
    Waiting next;
    {
      base::MutexLock lock(mu_);
      if (waiting_.empty()) return false;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    End(next.first, next.second);
    return true;
  }
  void EndAll() {
    while (EndNext()) {
    }
  }
  size_t WaitingCount() const {
    base::MutexLock lock(mu_);
    return waiting_.size();
  }
  std::vector<cache::BlockKey> Asked() const {
    base::MutexLock lock(mu_);
    return asked_;
  }

  bool Fetch(cache::BlockKey key, std::function<void(base::Status)> done) override {
    {
      base::MutexLock lock(mu_);
      if (waiting_.size() >= queue_count_max_) return false;
      asked_.push_back(key);
      if (holds_) {
        waiting_.emplace_back(key, std::move(done));
        return true;
      }
    }
    End(key, done);
    return true;
  }

 private:
  using Waiting = std::pair<cache::BlockKey, std::function<void(base::Status)>>;

  void End(cache::BlockKey key, const std::function<void(base::Status)>& done) {
    std::optional<std::errc> error;
    bool loses = false;
    {
      base::MutexLock lock(mu_);
      auto const found = errors_.find(key.node);
      error = found == errors_.end() ? error_of_all_ : found->second;
      loses = loses_;
    }
    if (error) return done(base::Fail(*error, "as the test says"));
    if (disk_ != nullptr && !loses) disk_->Put(key);
    done({});
  }

  FakeDisk* const disk_;
  mutable base::Mutex mu_;
  bool holds_ GUARDED_BY(mu_) = false;
  bool loses_ GUARDED_BY(mu_) = false;
  size_t queue_count_max_ GUARDED_BY(mu_) = 1000;
  std::map<cache::NodeId, std::errc> errors_ GUARDED_BY(mu_);
  std::optional<std::errc> error_of_all_ GUARDED_BY(mu_);
  std::deque<Waiting> waiting_ GUARDED_BY(mu_);
  std::vector<cache::BlockKey> asked_ GUARDED_BY(mu_);
};

}  // namespace stokefs::testing
