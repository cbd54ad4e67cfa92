#include "hints/evidence.h"

#include <algorithm>
#include <cmath>

namespace stokefs::hints {
namespace {

constexpr size_t kGapsMax = 256;  // different gaps learnt; the page cache can make any number

double FirstShare(uint64_t gap) {
  if (gap == 1) return 0.9;
  auto const g = static_cast<double>(gap);
  return 0.1 / (g * (g - 1));
}

}  // namespace

double WorldShareLog10(uint32_t world) {
  return -std::log10(static_cast<double>(world) * (static_cast<double>(world) + 1));
}

double GapModel::Log10(uint64_t gap) const {
  auto const at = seen_.find(gap);
  double const count = at == seen_.end() ? 0 : at->second;
  return std::log10((count + FirstShare(gap)) / (static_cast<double>(seen_count_) + 1));
}

void GapModel::Learn(uint64_t gap) {
  auto const at = seen_.find(gap);
  if (at != seen_.end()) {
    ++at->second;
  } else if (seen_.size() < kGapsMax) {
    seen_.emplace(gap, 1);
  } else {
    return;
  }
  ++seen_count_;
}

double StartGainLog10(uint32_t sample_count, uint32_t world, uint64_t place) {
  double const n = sample_count;
  double const first_batch = place < world ? 0.5 / world : 0;
  return std::log10(n * (first_batch + 0.5 / n));
}

double StepGainLog10(double gap_log10, uint64_t unread_count) {
  return gap_log10 + std::log10(static_cast<double>(std::max<uint64_t>(unread_count, 1)));
}

double MaybeForeignLog10(double x) {
  if (x > 15) return x - std::log10(2.0);
  return std::log10(0.5 * std::pow(10.0, x) + 0.5);
}

}  // namespace stokefs::hints
