#include "cache/warmup_place.h"

#include <algorithm>
#include <limits>

namespace stokefs::cache {
namespace {

// Above this the memory tier begins to evict in order to keep its free pieces large.
constexpr uint64_t kFreeShare = 25;  // 1/25 = 4%

uint64_t Minus(uint64_t from, uint64_t what) { return from > what ? from - what : 0; }

}  // namespace

uint64_t DiskPlace::RoomBytes() const {
  if (room_ == Room::kAny) return std::numeric_limits<uint64_t>::max();
  DiskUsage const usage = disk_.Usage();
  bool const is_any_healthy =
      std::any_of(usage.directories.begin(), usage.directories.end(),
                  [](const DirectoryUsage& d) { return d.state == DirectoryState::kHealthy; });
  if (!is_any_healthy) return 0;
  return Minus(usage.budget_bytes, usage.used_bytes + usage.pending_bytes);
}

uint64_t MemoryPlace::RoomBytes() const {
  MemoryUsage const usage = memory_.Usage();
  return Minus(usage.budget_bytes - usage.budget_bytes / kFreeShare, usage.used_bytes);
}

}  // namespace stokefs::cache
