// The sequence of samples that one rank of a job will read in an epoch (upper layers implement it).
#pragma once

#include <cstdint>
#include <optional>

#include "cache/ids.h"

namespace stokefs::cache {

class Plan {
 public:
  virtual ~Plan() = default;
  // Samples in the sequence, padding included.
  virtual uint64_t SampleCount() const = 0;
  // The sample at `position` (0-based); none for padding, or past the end.
  virtual std::optional<NodeId> At(uint64_t position) const = 0;
  // The first position at or after `from` that reads `node`; none when the plan reads it no more.
  virtual std::optional<uint64_t> NextUse(NodeId node, uint64_t from) const = 0;
};

}  // namespace stokefs::cache
