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
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "cache/ids.h"
#include "cache/memory_tier.h"
#include "cache/read_path.h"

namespace stokefs::cache {

// The bytes [offset, offset + size_bytes) of one block, as a part of a read.
struct ReadPart {
  BlockKey key;
  uint32_t offset = 0;
  uint32_t size_bytes = 0;
  uint32_t block_bytes = 0;
  Lease lease;                        // one of these two
  std::unique_ptr<std::byte[]> copy;  // is set when the bytes are here

  bool Here() const { return lease.Valid() || copy != nullptr; }
  void Copy(std::span<const std::byte> block);
};

// A read and what it has so far.
struct PendingRead {
  ReadRequest request;
  ReadDone done;
  base::TimePoint started;
  uint64_t file_bytes = 0;
  std::vector<ReadPart> parts;
  Tier tier = Tier::kMemory;  // the slowest so far

  bool Complete() const;
  ReadReply TakeReply();
};

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
