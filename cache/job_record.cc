#include "cache/job_record.h"

#include <algorithm>

namespace stokefs::cache {

uint64_t EpochRecord::ReadCount() const {
  uint64_t count = 0;
  for (TierReads const& reads : by_tier) count += reads.read_count;
  return count;
}

uint64_t EpochRecord::HitCount() const {
  uint64_t count = 0;
  for (size_t tier = 0; tier <= static_cast<size_t>(Tier::kMemory); ++tier)
    count += by_tier[tier].read_count;
  return count;
}

void JobRecord::Add(EpochRecord& epoch, const JobRead& read, int sign) {
  TierReads& reads = epoch.by_tier[static_cast<size_t>(read.tier)];
  reads.read_count += static_cast<uint64_t>(static_cast<int64_t>(sign));
  reads.waited += sign * read.waited;
  epoch.thought += sign * read.thought;
  if (sign < 0) return;
  if (epoch.began == base::TimePoint{}) epoch.began = read.when - read.waited;
  epoch.ended = read.when;
}

void JobRecord::OnRead(const JobRead& read) {
  recent_[read_count_++ % recent_.size()] = read;
  Add(epochs_.back(), read, 1);
}

void JobRecord::OnEpoch(uint64_t scope_count, size_t opening_count) {
  EpochRecord next{.index = epochs_.empty() ? 0 : epochs_.back().index + 1,
                   .scope_count = scope_count};
  if (!epochs_.empty()) {
    uint64_t const moved_count =
        std::min<uint64_t>({opening_count, recent_.size(), epochs_.back().ReadCount()});
    for (uint64_t i = read_count_ - moved_count; i < read_count_; ++i) {
      JobRead const& read = recent_[i % recent_.size()];
      Add(epochs_.back(), read, -1);
      Add(next, read, 1);
    }
    if (read_count_ > moved_count && moved_count < recent_.size())
      epochs_.back().ended = recent_[(read_count_ - moved_count - 1) % recent_.size()].when;
  }
  if (!epochs_.empty())  // which of its samples only the moved reads used is not known
    epochs_.back().used_count = std::min(epochs_.back().used_count, epochs_.back().ReadCount());
  epochs_.push_back(next);
  if (epochs_.size() > kEpochCountMax) epochs_.pop_front();
}

}  // namespace stokefs::cache
