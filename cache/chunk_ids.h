// New ids for chunk files, without a look at those that are there.
//
// 40 random bits a start, then a count. Two starts draw the same bits once in 10^12; the file that
// is there already then says EEXIST, and StartAnew draws others. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "base/sync.h"

namespace stokefs::cache {

class ChunkIds {
 public:
  ChunkIds() { StartAnew(); }

  uint64_t Next() EXCLUDES(mu_);
  void StartAnew() EXCLUDES(mu_);
  bool IsOurs(uint64_t id) const EXCLUDES(mu_);  // whether Next has given it, or may yet

 private:
  static constexpr uint64_t kCountMax = (1u << 24) - 1;

  void Draw() REQUIRES(mu_);

  mutable base::Mutex mu_;
  std::vector<uint64_t> starts_ GUARDED_BY(mu_);
  uint64_t count_ GUARDED_BY(mu_) = 0;
};

}  // namespace stokefs::cache
