#include "hints/epoch_reads.h"

#include "hints/evidence.h"

namespace stokefs::hints {

bool EpochReads::Add(cache::ReaderId reader, uint32_t index) {
  auto at = at_.find(reader.thread_id);
  if (at == at_.end()) {
    if (openings_.size() >= kReadersMax) return false;
    at = at_.emplace(reader.thread_id, openings_.size()).first;
    openings_.push_back({reader, {}});
    last_.push_back(0);
  } else if (last_[at->second] == index) {
    return false;
  }
  auto& opening = openings_[at->second];
  last_[at->second] = index;
  ++read_count_;
  if (opening.indices.size() < kOpeningMax) {
    opening.indices.push_back(index);
    if (opening.indices.size() == kReadsMin) ++usable_count_;
  }
  return true;
}

}  // namespace stokefs::hints
