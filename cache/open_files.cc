#include "cache/open_files.h"

#include <utility>

namespace stokefs::cache {

OpenFiles::File OpenFiles::Find(uint64_t id) {
  base::MutexLock lock(mu_);
  auto const place = places_.find(id);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  return place->second->file;
}

uint64_t OpenFiles::DropCount() const {
  base::MutexLock lock(mu_);
  return drop_count_;
}

void OpenFiles::Keep(uint64_t id, File file, uint64_t drop_count) {
  std::list<Entry> closed;
  base::MutexLock lock(mu_);
  if (drop_count != drop_count_ || places_.contains(id)) return;
  entries_.push_front({.id = id, .file = std::move(file)});
  places_.emplace(id, entries_.begin());
  if (entries_.size() <= count_max_) return;
  places_.erase(entries_.back().id);
  closed.splice(closed.begin(), entries_, std::prev(entries_.end()));
}

void OpenFiles::Drop(uint64_t id) {
  std::list<Entry> closed;  // dies after the lock
  base::MutexLock lock(mu_);
  ++drop_count_;
  auto const place = places_.find(id);
  if (place == places_.end()) return;
  closed.splice(closed.begin(), entries_, place->second);
  places_.erase(place);
}

void OpenFiles::DropAll() {
  std::list<Entry> closed;
  base::MutexLock lock(mu_);
  ++drop_count_;
  closed.swap(entries_);
  places_.clear();
}

size_t OpenFiles::Count() const {
  base::MutexLock lock(mu_);
  return entries_.size();
}

}  // namespace stokefs::cache
