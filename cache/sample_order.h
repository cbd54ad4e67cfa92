// The order in which a walk of the dataset comes to its samples (the catalog answers; a fake in
// tests).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cache/ids.h"

namespace stokefs::cache {

struct OrderedSample {
  NodeId node;
  uint64_t size_bytes = 0;

  bool operator==(const OrderedSample&) const = default;
};

class SampleOrder {
 public:
  virtual ~SampleOrder() = default;
  // The samples that follow `node`, at most `count_max`: depth first, each folder's names sorted by
  // their bytes, as `tar`, `cp -r` and ImageFolder come to them. Empty files are left out, because
  // the kernel reads nothing of them. Ends before a folder that is not listed yet. Does not block;
  // thread-safe.
  virtual std::vector<OrderedSample> SamplesAfter(NodeId node, size_t count_max) const = 0;
};

}  // namespace stokefs::cache
