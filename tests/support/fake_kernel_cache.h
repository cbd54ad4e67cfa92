// A kernel's cache that notes what it is told. Thread-safe; keeps the last `call_count_max` calls.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/sync.h"
#include "cache/kernel_cache.h"

namespace stokefs::testing {

class FakeKernelCache final : public cache::KernelCache {
 public:
  struct Call {
    enum class Kind : uint8_t { kPush, kDrop, kDropName };
    Kind kind = Kind::kPush;
    cache::NodeId node;  // the folder's for kDropName
    uint64_t offset = 0;
    std::vector<std::byte> bytes;
    std::string name;
  };

  explicit FakeKernelCache(size_t call_count_max = 4096) : call_count_max_(call_count_max) {}

  base::Status Push(cache::NodeId node, uint64_t offset,
                    std::span<const std::byte> bytes) override {
    return Note({.kind = Call::Kind::kPush,
                 .node = node,
                 .offset = offset,
                 .bytes = {bytes.begin(), bytes.end()}});
  }
  base::Status Drop(cache::NodeId node) override {
    return Note({.kind = Call::Kind::kDrop, .node = node});
  }
  base::Status DropName(cache::NodeId folder, std::string_view name) override {
    return Note({.kind = Call::Kind::kDropName, .node = folder, .name = std::string(name)});
  }

  // Calls answer this from now on; they are noted all the same.
  void SetStatus(base::Status status) {
    base::MutexLock lock(mu_);
    status_ = std::move(status);
  }
  // The calls since the last Take, oldest first.
  std::vector<Call> Take() {
    base::MutexLock lock(mu_);
    std::vector<Call> calls(std::make_move_iterator(calls_.begin()),
                            std::make_move_iterator(calls_.end()));
    calls_.clear();
    return calls;
  }
  // All calls ever, those forgotten included.
  size_t CallCount() const {
    base::MutexLock lock(mu_);
    return call_count_;
  }

 private:
  base::Status Note(Call call) {
    base::MutexLock lock(mu_);
    ++call_count_;
    calls_.push_back(std::move(call));
    if (calls_.size() > call_count_max_) calls_.pop_front();
    return status_;
  }

  const size_t call_count_max_;
  mutable base::Mutex mu_;
  std::deque<Call> calls_ GUARDED_BY(mu_);
  size_t call_count_ GUARDED_BY(mu_) = 0;
  base::Status status_ GUARDED_BY(mu_);
};

}  // namespace stokefs::testing
