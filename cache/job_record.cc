#include "cache/job_record.h"

#include <algorithm>

namespace stokefs::cache {

void JobRecord::OnEpoch(uint64_t scope_count, size_t opening_count) {
  EpochRecord next{.index = epochs_.empty() ? 0 : epochs_.back().index + 1,
                   .scope_count = scope_count};
  if (!epochs_.empty()) {
    uint64_t const moved_count =
        std::min<uint64_t>({opening_count, recent_hits_.size(), epochs_.back().read_count});
    for (uint64_t i = read_count_ - moved_count; i < read_count_; ++i) {
      bool const hit = recent_hits_[i % recent_hits_.size()];
      Add(epochs_.back(), hit, -1);
      Add(next, hit, 1);
    }
  }
  if (!epochs_.empty())  // which of its samples only the moved reads used is not known
    epochs_.back().used_count = std::min(epochs_.back().used_count, epochs_.back().read_count);
  epochs_.push_back(next);
  if (epochs_.size() > kEpochCountMax) epochs_.pop_front();
}

}  // namespace stokefs::cache
