// A source whose answers the test releases one by one, on the thread that releases them. Bytes are
// those of tests/support/block_bytes.h. Thread-safe.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/sync.h"
#include "cache/chunk_source.h"
#include "tests/support/block_bytes.h"

namespace stokefs::testing {

class FakeSource final : public cache::ChunkSource {
 public:
  explicit FakeSource(cache::Tier tier = cache::Tier::kOrigin) : tier_(tier) {}
  ~FakeSource() override { AnswerAll(base::Fail(std::errc::operation_canceled, "source ended")); }

  cache::Tier tier() const override { return tier_; }
  bool Holds(cache::BlockKey) const override {
    base::MutexLock lock(mu_);
    return holds_;
  }
  void Fetch(std::vector<cache::FetchItem> items) override {
    std::vector<cache::FetchItem> refused;
    std::optional<std::errc> inside;
    {
      base::MutexLock lock(mu_);
      inside = inside_;
      for (auto& item : items) {
        ++asked_[item.key];
        ++asked_count_;
        asked_bytes_ += item.into.size();
        if (inside) {
          refused.push_back(std::move(item));
        } else {
          waiting_.push_back(std::move(item));
        }
      }
      changed_.SignalAll();
    }
    for (auto& item : refused) {
      item.done(base::Fail(*inside, "fake, inside Fetch"));
    }
  }

  // What Holds says from now on.
  void SetHolds(bool holds) {
    base::MutexLock lock(mu_);
    holds_ = holds;
  }
  // From now on all items are answered with this error, inside Fetch; none: they wait again.
  void SetInside(std::optional<std::errc> error) {
    base::MutexLock lock(mu_);
    inside_ = error;
  }
  void SetBusy(bool busy) {
    SetInside(busy ? std::optional(std::errc::resource_unavailable_try_again) : std::nullopt);
  }

  // Answers the oldest item: with its bytes, or with `status` when that is an error, leaving `into`
  // half written. False when none waits.
  bool AnswerNext(base::Status status = {}) {
    cache::FetchItem item;
    {
      base::MutexLock lock(mu_);
      if (waiting_.empty()) return false;
      item = std::move(waiting_.front());
      waiting_.pop_front();
    }
    Answer(item, std::move(status));
    return true;
  }
  // The same for the oldest item of `key`.
  bool AnswerKey(cache::BlockKey key, base::Status status = {}) {
    cache::FetchItem item;
    {
      base::MutexLock lock(mu_);
      auto at = waiting_.begin();
      while (at != waiting_.end() && at->key != key) ++at;
      if (at == waiting_.end()) return false;
      item = std::move(*at);
      waiting_.erase(at);
    }
    Answer(item, std::move(status));
    return true;
  }
  // Answers until none waits; says how many it answered.
  size_t AnswerAll(const base::Status& status = {}) {
    size_t count = 0;
    while (AnswerNext(status)) ++count;
    return count;
  }

  // Bytes of `node` answered from now on bear this salt: another version of it.
  void SetSalt(cache::NodeId node, uint64_t salt) {
    base::MutexLock lock(mu_);
    salts_[node] = salt;
  }

  // What waits, oldest first.
  std::vector<std::pair<cache::BlockKey, base::TimePoint>> Waiting() const {
    base::MutexLock lock(mu_);
    std::vector<std::pair<cache::BlockKey, base::TimePoint>> keys;
    for (auto const& item : waiting_) keys.emplace_back(item.key, item.deadline);
    return keys;
  }
  // What each of these was asked as.
  std::vector<cache::FetchPriority> Priorities() const {
    base::MutexLock lock(mu_);
    std::vector<cache::FetchPriority> priorities;
    for (auto const& item : waiting_) priorities.push_back(item.priority);
    return priorities;
  }
  size_t WaitingCount() const {
    base::MutexLock lock(mu_);
    return waiting_.size();
  }
  // How often blocks were asked for.
  size_t AskedCount() const {
    base::MutexLock lock(mu_);
    return asked_count_;
  }
  size_t AskedCount(cache::BlockKey key) const {
    base::MutexLock lock(mu_);
    auto const at = asked_.find(key);
    return at == asked_.end() ? 0 : at->second;
  }
  uint64_t AskedBytes() const {
    base::MutexLock lock(mu_);
    return asked_bytes_;
  }
  // True when at least `count` items wait; false after 10 s.
  bool AwaitWaiting(size_t count) {
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    base::MutexLock lock(mu_);
    while (waiting_.size() < count) {
      if (std::chrono::steady_clock::now() > end) return false;
      changed_.WaitFor(mu_, std::chrono::milliseconds(100));
    }
    return true;
  }

 private:
  friend class AnsweringThread;

  void Answer(const cache::FetchItem& item, base::Status status) {
    uint64_t salt = 0;
    {
      base::MutexLock lock(mu_);
      auto const at = salts_.find(item.key.node);
      if (at != salts_.end()) salt = at->second;
    }
    FillBlock(status ? item.into : item.into.first(item.into.size() / 2), item.key, salt);
    item.done(std::move(status));
  }

  const cache::Tier tier_;
  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::deque<cache::FetchItem> waiting_ GUARDED_BY(mu_);
  std::map<cache::BlockKey, size_t> asked_ GUARDED_BY(mu_);
  size_t asked_count_ GUARDED_BY(mu_) = 0;
  uint64_t asked_bytes_ GUARDED_BY(mu_) = 0;
  bool holds_ GUARDED_BY(mu_) = true;
  std::optional<std::errc> inside_ GUARDED_BY(mu_);
  std::map<cache::NodeId, uint64_t> salts_ GUARDED_BY(mu_);
};

// Answers a source's items as they come, on a thread of its own, until it dies.
class AnsweringThread {
 public:
  explicit AnsweringThread(FakeSource& source) : source_(source), thread_([this] { Run(); }) {}
  ~AnsweringThread() {
    {
      base::MutexLock lock(source_.mu_);
      stopping_ = true;
      source_.changed_.SignalAll();
    }
    thread_.join();
  }
  AnsweringThread(const AnsweringThread&) = delete;
  AnsweringThread& operator=(const AnsweringThread&) = delete;

 private:
  void Run() {
    for (;;) {
      {
        base::MutexLock lock(source_.mu_);
        while (source_.waiting_.empty() && !stopping_) source_.changed_.Wait(source_.mu_);
        if (stopping_) return;
      }
      source_.AnswerNext();
    }
  }

  FakeSource& source_;
  bool stopping_ GUARDED_BY(source_.mu_) = false;
  std::thread thread_;
};

}  // namespace stokefs::testing
