#include "cache/fetch_budgets.h"

#include <utility>

#include "base/check.h"

namespace stokefs::cache {

FetchBudgets::FetchBudgets(Limits limits)
    : limits_(std::move(limits)), sources_(limits_.sources.size()) {
  STOKEFS_CHECK(!sources_.empty());
}

bool FetchBudgets::Fits(const FetchCharge& charge) const {
  InFlight const& there = sources_[charge.source_index];
  SourceLimits const& limits = limits_.sources[charge.source_index];
  if (charge.priority == FetchPriority::kBackground) {
    return there.background_count < limits.background_count_max &&
           (background_bytes_ == 0 ||
            background_bytes_ + charge.size_bytes <= limits_.background_bytes_max);
  }
  return there.bytes == 0 || (there.bytes + charge.size_bytes <= limits.bytes_max &&
                              bytes_ + charge.size_bytes <= limits_.bytes_max);
}

void FetchBudgets::Add(const FetchCharge& charge) {
  InFlight& there = sources_[charge.source_index];
  if (charge.priority == FetchPriority::kBackground) {
    ++there.background_count;
    background_bytes_ += charge.size_bytes;
  } else {
    there.bytes += charge.size_bytes;
    bytes_ += charge.size_bytes;
  }
}

void FetchBudgets::Remove(const FetchCharge& charge) {
  InFlight& there = sources_[charge.source_index];
  if (charge.priority == FetchPriority::kBackground) {
    --there.background_count;
    background_bytes_ -= charge.size_bytes;
  } else {
    there.bytes -= charge.size_bytes;
    bytes_ -= charge.size_bytes;
  }
}

}  // namespace stokefs::cache
