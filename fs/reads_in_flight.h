// Which nodes have a READ that is not answered yet, roughly: those that push or invalidate pages
// must leave such nodes alone, because the kernel holds their pages locked.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "cache/ids.h"

namespace stokefs::fs {

// Counters that nodes share: "no" is always right, "yes" may be another node's. Lock-free.
class ReadsInFlight {
 public:
  void Begin(cache::NodeId node) { Of(node).fetch_add(1, std::memory_order_acq_rel); }
  void End(cache::NodeId node) { Of(node).fetch_sub(1, std::memory_order_acq_rel); }
  bool Any(cache::NodeId node) const { return Of(node).load(std::memory_order_acquire) != 0; }

 private:
  // 4,096 for at most 1,024 READs in flight: a false "yes" for one node in five at the very worst.
  static constexpr size_t kCount = 4096;

  std::atomic<uint32_t>& Of(cache::NodeId node) { return counts_[node.value % kCount]; }
  const std::atomic<uint32_t>& Of(cache::NodeId node) const { return counts_[node.value % kCount]; }

  std::array<std::atomic<uint32_t>, kCount> counts_{};
};

}  // namespace stokefs::fs
