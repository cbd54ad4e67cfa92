// Who follows what jobs say of importance: the policy that keeps samples.
#pragma once

#include <span>

#include "cache/ids.h"

namespace stokefs::cache {

struct ImportanceChange {
  NodeId node;
  float relative = 1;  // to the average of all values told; finite, at least 0
};

class ImportanceListener {
 public:
  virtual ~ImportanceListener() = default;
  // One call at a time, on a thread that no reader waits for, no lock held: some 0.2 s after the
  // values came, and all of them again when the average has moved. Samples never named here are
  // average.
  virtual void OnImportance(std::span<const ImportanceChange> changes) = 0;
};

}  // namespace stokefs::cache
