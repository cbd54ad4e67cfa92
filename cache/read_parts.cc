#include "cache/read_parts.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace stokefs::cache {

uint64_t BlockBytes(uint64_t file_bytes, uint32_t index, uint64_t extent_bytes) {
  uint64_t const begin = index * extent_bytes;
  return begin < file_bytes ? std::min(extent_bytes, file_bytes - begin) : 0;
}

void ReadPart::Copy(std::span<const std::byte> block) {
  auto bytes = std::make_unique_for_overwrite<std::byte[]>(size_bytes);
  std::memcpy(bytes.get(), block.data() + offset, size_bytes);
  copy = std::move(bytes);
  lease = Lease();
}

uint64_t ReadReply::SizeBytes() const {
  uint64_t size = 0;
  for (auto const& span : spans) size += span.size();
  return size;
}

base::Status PendingRead::Cut(BlockCutting cutting) {
  if (request.offset >= file_bytes) return {};
  uint64_t const extent = cutting.extent_bytes;
  uint64_t const end =
      request.offset + std::min<uint64_t>(request.size_bytes, file_bytes - request.offset);
  if (end / extent > std::numeric_limits<uint32_t>::max()) {
    return base::Fail(std::errc::file_too_large, "read");
  }
  for (uint64_t at = request.offset; at < end;) {
    auto const index = static_cast<uint32_t>(at / extent);
    uint64_t const block_begin = index * extent;
    uint64_t const block_bytes = BlockBytes(file_bytes, index, extent);
    if (block_bytes > cutting.block_bytes_max) {
      return base::Fail(std::errc::not_enough_memory, "a block is above the memory budget");
    }
    uint64_t const size = std::min(end, block_begin + block_bytes) - at;
    parts.push_back({.key = {request.node, index},
                     .offset = static_cast<uint32_t>(at - block_begin),
                     .size_bytes = static_cast<uint32_t>(size),
                     .block_bytes = static_cast<uint32_t>(block_bytes)});
    at += size;
  }
  return {};
}

bool PendingRead::Complete() const {
  return std::all_of(parts.begin(), parts.end(), [](ReadPart const& part) { return part.Here(); });
}

ReadReply PendingRead::TakeReply() {
  ReadReply reply;
  reply.tier = tier;
  reply.spans.reserve(parts.size());
  reply.leases.reserve(parts.size());
  for (ReadPart& part : parts) {
    if (part.lease.Valid()) {
      reply.spans.push_back(part.lease.bytes().subspan(part.offset, part.size_bytes));
      reply.leases.push_back(std::move(part.lease));
    } else {
      reply.spans.emplace_back(part.copy.get(), part.size_bytes);
      reply.copies.push_back(std::move(part.copy));
    }
  }
  return reply;
}

}  // namespace stokefs::cache
