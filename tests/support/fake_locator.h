// A locator of files that the test names; hears of what was stale.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/sync.h"
#include "cache/origin_locator.h"

namespace stokefs::testing {

inline int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

inline cache::FileVersion VersionOf(const struct stat& found) {
  return {.size_bytes = static_cast<uint64_t>(found.st_size),
          .inode = found.st_ino,
          .mtime_ns = Nanoseconds(found.st_mtim),
          .ctime_ns = Nanoseconds(found.st_ctim)};
}

class FakeLocator final : public cache::OriginLocator {
 public:
  // `node` is `path`, in the version that `file` has now.
  void Add(cache::NodeId node, const std::string& path, int file) {
    struct stat found;
    STOKEFS_CHECK(fstat(file, &found) == 0);
    base::MutexLock lock(mu_);
    files_[node] = {.path = path, .version = VersionOf(found)};
  }

  void Add(cache::NodeId node, const std::string& path, const cache::FileVersion& version) {
    base::MutexLock lock(mu_);
    files_[node] = {.path = path, .version = version};
  }

  base::Result<cache::OriginFile> LocateAtOrigin(cache::NodeId node) const override {
    if (on_locate) on_locate();
    base::MutexLock lock(mu_);
    auto const found = files_.find(node);
    if (found == files_.end()) return base::FailErrno(ENOENT, "fake");
    return found->second;
  }
  void OnStale(cache::NodeId node) override {
    base::MutexLock lock(mu_);
    stale_.push_back(node);
  }
  std::vector<cache::NodeId> Stale() const {
    base::MutexLock lock(mu_);
    return stale_;
  }

  std::function<void()> on_locate;  // set before use

 private:
  mutable base::Mutex mu_;
  std::map<cache::NodeId, cache::OriginFile> files_ GUARDED_BY(mu_);
  std::vector<cache::NodeId> stale_ GUARDED_BY(mu_);
};

}  // namespace stokefs::testing
