#include "cache/verify_memory.h"

#include <optional>
#include <vector>

#include "cache/digest.h"

namespace stokefs::cache {
namespace {

constexpr size_t kBatchCount = 1024;  // places looked at under one hold of the tier's lock: 50 µs

}  // namespace

MemoryVerifyReport VerifyMemory(MemoryTier& memory,
                                const std::function<bool(const MemoryVerifyReport&)>& go_on) {
  MemoryVerifyReport report;
  for (std::optional<size_t> from = 0; from;) {
    std::vector<BlockKey> keys;
    from = memory.Keys(*from, kBatchCount, keys);
    for (BlockKey const key : keys) {
      auto const lease = memory.Peek(key);
      if (!lease) continue;
      ++report.blocks;
      report.bytes += lease->bytes().size();
      if (DigestOf(lease->bytes()) == lease->digest()) continue;
      ++report.damaged;
      memory.Remove(key);
    }
    if (!go_on(report)) break;
  }
  return report;
}

}  // namespace stokefs::cache
