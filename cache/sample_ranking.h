// How much a sample is worth, as upper layers know it (hints implements this).
#pragma once

#include "cache/ids.h"

namespace stokefs::cache {

class SampleRanking {
 public:
  virtual ~SampleRanking() = default;
  // Expected reads in an epoch, relative to the average sample: 1 where nothing is known, at least
  // 0, finite. Called under the memory tier's lock: no blocking, no call back.
  virtual double Importance(NodeId node) const = 0;
};

}  // namespace stokefs::cache
