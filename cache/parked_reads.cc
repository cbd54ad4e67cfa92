#include "cache/parked_reads.h"

#include <utility>

namespace stokefs::cache {

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
