// The files that a directory keeps open for the next read: the last used ones, up to a count.
//
// Holds references; a file is closed when the last one dies, so one that is dropped while it is
// read lives on, its disk space too. Thread-safe; files are closed outside the lock.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/block_reader.h"
#include "base/sync.h"

namespace stokefs::cache {

class OpenFiles {
 public:
  using File = std::shared_ptr<const base::ReadableFile>;

  explicit OpenFiles(size_t count_max) : count_max_(count_max) {}

  File Find(uint64_t id) EXCLUDES(mu_);  // null: not open

  // Taken before a file is opened, so that one that was dropped meanwhile is not kept.
  uint64_t DropCount() const EXCLUDES(mu_);
  // Keeps `file` for `id`, unless anything was dropped since `drop_count`.
  void Keep(uint64_t id, File file, uint64_t drop_count) EXCLUDES(mu_);

  void Drop(uint64_t id) EXCLUDES(mu_);
  void DropAll() EXCLUDES(mu_);
  size_t Count() const EXCLUDES(mu_);

 private:
  struct Entry {
    uint64_t id = 0;
    File file;
  };

  const size_t count_max_;
  mutable base::Mutex mu_;
  std::list<Entry> entries_ GUARDED_BY(mu_);  // last used first
  std::unordered_map<uint64_t, std::list<Entry>::iterator> places_ GUARDED_BY(mu_);
  uint64_t drop_count_ GUARDED_BY(mu_) = 0;
};

}  // namespace stokefs::cache
