// Values by key, the longest unused ones dropped beyond a budget. Whoever was given a value keeps
// it, dropped or not. Thread-safe; nothing is called under the lock.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/sync.h"

namespace stokefs::cache {

template <typename Key, typename Value>
class LruMap {
 public:
  // Weights are in whatever unit the budget is. One value stays, however much it weighs.
  explicit LruMap(size_t budget) : budget_(budget) {}

  // Null: not there.
  std::shared_ptr<Value> Find(const Key& key) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    auto const found = index_.find(key);
    if (found == index_.end()) return nullptr;
    used_last_.splice(used_last_.begin(), used_last_, found->second);
    return found->second->value;
  }

  // Takes the place of another value of that key.
  void Put(const Key& key, std::shared_ptr<Value> value, size_t weight) EXCLUDES(mu_) {
    std::vector<std::shared_ptr<Value>> dropped;  // ends after the lock
    base::MutexLock lock(mu_);
    Take(key, dropped);
    used_last_.push_front({key, std::move(value), weight});
    index_[key] = used_last_.begin();
    weight_ += weight;
    while (weight_ > budget_ && used_last_.size() > 1) {
      Key const last = used_last_.back().key;
      Take(last, dropped);
    }
  }

  void Drop(const Key& key) EXCLUDES(mu_) {
    std::vector<std::shared_ptr<Value>> dropped;
    base::MutexLock lock(mu_);
    Take(key, dropped);
  }

  size_t Count() const EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    return used_last_.size();
  }

 private:
  struct Item {
    Key key;
    std::shared_ptr<Value> value;
    size_t weight;
  };

  void Take(const Key& key, std::vector<std::shared_ptr<Value>>& dropped) REQUIRES(mu_) {
    auto const found = index_.find(key);
    if (found == index_.end()) return;
    weight_ -= found->second->weight;
    dropped.push_back(std::move(found->second->value));
    used_last_.erase(found->second);
    index_.erase(found);
  }

  const size_t budget_;
  mutable base::Mutex mu_;
  std::list<Item> used_last_ GUARDED_BY(mu_);
  std::unordered_map<Key, typename std::list<Item>::iterator> index_ GUARDED_BY(mu_);
  size_t weight_ GUARDED_BY(mu_) = 0;
};

}  // namespace stokefs::cache
