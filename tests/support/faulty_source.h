// Faults as decorators of a source: subclasses say what becomes of the nth answer.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/sync.h"
#include "cache/chunk_source.h"

namespace stokefs::testing {

// Hands items on and lets `OnAnswer` meddle with each answer. Outlives what it was asked.
class FaultySource : public cache::ChunkSource {
 public:
  explicit FaultySource(cache::ChunkSource& inner) : inner_(inner) {}

  cache::Tier tier() const override { return inner_.tier(); }
  void Fetch(std::vector<cache::FetchItem> items) override {
    std::vector<cache::FetchItem> handed_on;
    for (cache::FetchItem& item : items) {
      uint64_t const index = next_index_.fetch_add(1, std::memory_order_relaxed);
      cache::FetchItem inner{.key = item.key, .into = item.into, .deadline = item.deadline};
      inner.done = [this, index, item = std::move(item)](base::Status status) mutable {
        OnAnswer(index, std::move(item), std::move(status));
      };
      handed_on.push_back(std::move(inner));
    }
    inner_.Fetch(std::move(handed_on));
  }

 protected:
  // `index` counts items from 0; the answer is due: call item.done with `status` or another.
  virtual void OnAnswer(uint64_t index, cache::FetchItem item, base::Status status) = 0;

 private:
  cache::ChunkSource& inner_;
  std::atomic<uint64_t> next_index_{0};  // atomic: a sum
};

// Every `nth` answer (from the first) is `error_number`.
class FailNth final : public FaultySource {
 public:
  FailNth(cache::ChunkSource& inner, uint64_t nth, int error_number)
      : FaultySource(inner), nth_(nth), error_number_(error_number) {}

 private:
  void OnAnswer(uint64_t index, cache::FetchItem item, base::Status status) override {
    if (index % nth_ == 0) status = base::FailErrno(error_number_, "injected");
    item.done(std::move(status));
  }
  const uint64_t nth_;
  const int error_number_;
};

// Every `nth` answer (from the first) has one bit wrong.
class FlipBitOfNth final : public FaultySource {
 public:
  FlipBitOfNth(cache::ChunkSource& inner, uint64_t nth) : FaultySource(inner), nth_(nth) {}

 private:
  void OnAnswer(uint64_t index, cache::FetchItem item, base::Status status) override {
    if (status && index % nth_ == 0) item.into[item.into.size() / 2] ^= std::byte{0x10};
    item.done(std::move(status));
  }
  const uint64_t nth_;
};

// Every `nth` answer (from the first) waits until it is released.
class DelayNth final : public FaultySource {
 public:
  DelayNth(cache::ChunkSource& inner, uint64_t nth) : FaultySource(inner), nth_(nth) {}

  void ReleaseAll() {
    std::vector<std::pair<cache::FetchItem, base::Status>> held;
    {
      base::MutexLock lock(mu_);
      held.swap(held_);
    }
    for (auto& [item, status] : held) item.done(std::move(status));
  }
  size_t HeldCount() const {
    base::MutexLock lock(mu_);
    return held_.size();
  }

 private:
  void OnAnswer(uint64_t index, cache::FetchItem item, base::Status status) override {
    if (index % nth_ != 0) {
      item.done(std::move(status));
      return;
    }
    base::MutexLock lock(mu_);
    held_.emplace_back(std::move(item), std::move(status));
  }
  const uint64_t nth_;
  mutable base::Mutex mu_;
  std::vector<std::pair<cache::FetchItem, base::Status>> held_ GUARDED_BY(mu_);
};

}  // namespace stokefs::testing
