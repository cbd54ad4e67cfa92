#include "cache/chunk_ids.h"

#include <sys/random.h>

#include <algorithm>

#include "base/check.h"

namespace stokefs::cache {

uint64_t ChunkIds::Next() {
  base::MutexLock lock(mu_);
  if (count_ > kCountMax) Draw();
  return starts_.back() | count_++;
}

void ChunkIds::StartAnew() {
  base::MutexLock lock(mu_);
  Draw();
}

bool ChunkIds::IsOurs(uint64_t id) const {
  base::MutexLock lock(mu_);
  return std::find(starts_.begin(), starts_.end(), id & ~kCountMax) != starts_.end();
}

void ChunkIds::Draw() {
  uint64_t bits = 0;
  STOKEFS_CHECK(getrandom(&bits, sizeof(bits), 0) == sizeof(bits));
  starts_.push_back(bits & ~kCountMax);
  count_ = 0;
}

}  // namespace stokefs::cache
