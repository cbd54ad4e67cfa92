// What may explain the first reads of an epoch, and where such guesses come from.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cache/ids.h"
#include "hints/shuffle_order.h"

namespace stokefs::hints {

// The first reads of one reader in an epoch, as folder indices; each sample's first READ only.
struct Opening {
  cache::ReaderId reader;
  std::vector<uint32_t> indices;
};

struct Candidate {
  ShuffleOrder order;
  uint32_t world = 1;
  double share_log10 = 0;  // of the prior: see evidence.h; the world's share included

  bool operator==(const Candidate& other) const {
    return order == other.order && world == other.world;
  }
};

// One scheme of shuffling: knows some openings (from its constructor) and walks its guesses in
// small steps. Adding a scheme is one file that implements this. Not thread-safe, no I/O.
class CandidateSource {
 public:
  virtual ~CandidateSource() = default;
  virtual std::string_view Name() const = 0;
  // Some more guesses, at most about 10 ms of a core. Appends those that the openings do not
  // refute. False when none are left.
  virtual bool Step(std::vector<Candidate>& found) = 0;
};

}  // namespace stokefs::hints
