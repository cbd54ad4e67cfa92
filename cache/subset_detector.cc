#include "cache/subset_detector.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace stokefs::cache {
namespace {

constexpr double kShareMax = 0.9;       // of a pass that may have read a subset
constexpr double kHiddenShare = 0.03;   // of a subset's reads that the pass before did not see
constexpr uint32_t kReadCountMin = 64;  // of a pass, less say nothing
constexpr uint32_t kStrangerCountMax = 8, kStrangerShare = 20;

uint32_t CountOf(const std::vector<bool>& bits) {
  return static_cast<uint32_t>(std::count(bits.begin(), bits.end(), true));
}

}  // namespace

SubsetDetector::SubsetDetector(std::vector<bool> scope)
    : scope_(std::move(scope)), scope_count_(CountOf(scope_)) {}

bool SubsetDetector::OnPass(const std::vector<bool>& used) {
  before_ = used;
  before_count_ = CountOf(used);
  read_count_ = stranger_count_ = 0;
  evidence_ = evidence_of_known_ = evidence_of_stranger_ = 0;
  double const share = static_cast<double>(before_count_) / allowed_count();
  if (before_count_ >= kReadCountMin && share <= kShareMax) {
    evidence_of_known_ = std::log((1 - kHiddenShare) / share);
    evidence_of_stranger_ = std::log(kHiddenShare / (1 - share));
  }
  return std::exchange(has_grown_, false);
}

bool SubsetDetector::OnRead(SampleIndex sample) {
  ++read_count_;
  if (is_narrow_ && !subset_[sample.value]) {
    ++stranger_count_;
    Include(sample);
    if (stranger_count_ > std::max(kStrangerCountMax, read_count_ / kStrangerShare)) {
      is_narrow_ = false;
      evidence_of_known_ = 0;  // until the next pass
      return true;
    }
  }
  if (evidence_of_known_ == 0) return false;
  evidence_ += before_[sample.value] ? evidence_of_known_ : evidence_of_stranger_;
  if (evidence_ < std::log(1e4) || read_count_ < kReadCountMin) return false;
  evidence_of_known_ = 0;
  subset_ = before_;
  subset_count_ = before_count_;
  is_narrow_ = true;
  has_grown_ = false;
  return true;
}

void SubsetDetector::Include(SampleIndex sample) {
  subset_[sample.value] = true;
  ++subset_count_;
  has_grown_ = true;
}

}  // namespace stokefs::cache
