// A source that answers when and as the test says.
#pragma once

#include <cerrno>
#include <deque>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/sync.h"
#include "cache/chunk_source.h"
#include "tests/support/block_bytes.h"

namespace stokefs::testing {

class FakeSource final : public cache::ChunkSource {
 public:
  explicit FakeSource(cache::Tier tier = cache::Tier::kOrigin) : tier_(tier) {}

  cache::Tier tier() const override { return tier_; }

  void Fetch(std::vector<cache::FetchItem> items) override {
    for (cache::FetchItem& item : items) {
      bool refused = false;
      {
        base::MutexLock lock(mu_);
        ++asked_count_;
        asked_bytes_ += item.into.size();
        refused = busy_;
        if (!refused) waiting_.push_back(std::move(item));
      }
      if (refused) item.done(base::FailErrno(EAGAIN, "fake"));
    }
  }

  // Takes the oldest item that waits; the test answers it.
  cache::FetchItem Take() {
    base::MutexLock lock(mu_);
    STOKEFS_CHECK(!waiting_.empty());
    cache::FetchItem item = std::move(waiting_.front());
    waiting_.pop_front();
    return item;
  }
  // Answers the oldest item with the bytes of its block (block_bytes.h).
  void AnswerOne() {
    cache::FetchItem const item = Take();
    FillBlock(item.into, item.key);
    item.done({});
  }
  void FailOne(int error_number) { Take().done(base::FailErrno(error_number, "fake")); }
  void AnswerAll() {
    while (WaitingCount() > 0) AnswerOne();
  }

  size_t WaitingCount() const {
    base::MutexLock lock(mu_);
    return waiting_.size();
  }
  size_t AskedCount() const {
    base::MutexLock lock(mu_);
    return asked_count_;
  }
  uint64_t AskedBytes() const {
    base::MutexLock lock(mu_);
    return asked_bytes_;
  }
  void SetBusy(bool busy) {  // refuses with EAGAIN, inside Fetch
    base::MutexLock lock(mu_);
    busy_ = busy;
  }

 private:
  const cache::Tier tier_;
  mutable base::Mutex mu_;
  std::deque<cache::FetchItem> waiting_ GUARDED_BY(mu_);
  size_t asked_count_ GUARDED_BY(mu_) = 0;
  uint64_t asked_bytes_ GUARDED_BY(mu_) = 0;
  bool busy_ GUARDED_BY(mu_) = false;
};

}  // namespace stokefs::testing
