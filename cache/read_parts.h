// A read cut into blocks: what it wants of each, and what has come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cache/ids.h"
#include "cache/memory_tier.h"
#include "cache/read_path.h"

namespace stokefs::cache {

// A file is cut at multiples of `extent_bytes`; no block may be above `block_bytes_max`.
struct BlockCutting {
  uint64_t extent_bytes = 0;
  uint64_t block_bytes_max = 0;
};

// The length of block `index` of a file; 0 when the file ends before it.
uint64_t BlockBytes(uint64_t file_bytes, uint32_t index, uint64_t extent_bytes);

// The bytes [offset, offset + size_bytes) of one block, as a part of a read.
struct ReadPart {
  BlockKey key;
  uint32_t offset = 0;
  uint32_t size_bytes = 0;
  uint32_t block_bytes = 0;
  uint32_t first_source = 0;          // the one to ask first
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

  // Makes the parts, none for a range past the end. EFBIG; ENOMEM for a block above the limit.
  base::Status Cut(BlockCutting cutting);
  bool Complete() const;
  ReadReply TakeReply();
};

}  // namespace stokefs::cache
