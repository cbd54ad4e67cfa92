#include "cache/parked_reads.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace stokefs::cache {

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

uint64_t ParkedReads::Park(PendingRead read) {
  reads_.emplace_hint(reads_.end(), ++last_ticket_, std::move(read));
  return last_ticket_;
}

PendingRead* ParkedReads::Get(uint64_t ticket) {
  auto const found = reads_.find(ticket);
  return found == reads_.end() ? nullptr : &found->second;
}

std::optional<PendingRead> ParkedReads::Take(uint64_t ticket) {
  auto node = reads_.extract(ticket);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

std::optional<uint64_t> ParkedReads::Oldest(base::TimePoint started_max) const {
  if (reads_.empty() || reads_.begin()->second.started > started_max) return std::nullopt;
  return reads_.begin()->first;
}

bool ParkedReads::GiveUpOneLease() {
  for (auto read = reads_.rbegin(); read != reads_.rend(); ++read) {
    for (ReadPart& part : read->second.parts) {
      if (!part.lease.Valid()) continue;
      part.Copy(part.lease.bytes());
      return true;
    }
  }
  return false;
}

std::vector<ParkedRead> ParkedReads::List(size_t count_max, base::TimePoint now) const {
  std::vector<ParkedRead> list;
  for (auto const& [ticket, read] : reads_) {
    if (list.size() >= count_max) break;
    list.push_back({.node = read.request.node,
                    .reader = read.request.reader,
                    .offset = read.request.offset,
                    .waited = now - read.started});
  }
  return list;
}

}  // namespace stokefs::cache
