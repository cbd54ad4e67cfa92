// Reads that wait: what each still lacks, since when.
//
// Pure bookkeeping like the fetch table; guarded by the read path's mutex.
// A parked read keeps a lease on each block that has come, until the last has. Where such leases
// leave no room to fetch what is missing (reads over two blocks in a tiny arena), reads could wait
// for each other for ever; so the youngest give theirs up for a copy of the bytes that they want.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "cache/read_parts.h"
#include "cache/read_path.h"

namespace stokefs::cache {

class ParkedReads {
 public:
  // Takes a read in; the ticket is never 0 and grows.
  uint64_t Park(PendingRead read);
  PendingRead* Get(uint64_t ticket);
  // Out of the table; none when it was answered already.
  std::optional<PendingRead> Take(uint64_t ticket);
  // The oldest one, if it started at `started_max` or before.
  std::optional<uint64_t> Oldest(base::TimePoint started_max) const;

  // Turns one lease of the youngest read that holds any into a copy. False when there is none.
  bool GiveUpOneLease();

  bool Has(uint64_t ticket) const { return reads_.contains(ticket); }
  size_t Count() const { return reads_.size(); }
  std::vector<ParkedRead> List(size_t count_max, base::TimePoint now) const;

 private:
  uint64_t last_ticket_ = 0;
  std::map<uint64_t, PendingRead> reads_;  // by ticket: the oldest first
};

}  // namespace stokefs::cache
