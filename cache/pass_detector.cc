#include "cache/pass_detector.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace stokefs::cache {

PassDetector::PassDetector(Options options)
    : scope_count_(options.scope_count),
      used_(options.sample_count),
      used_before_(options.sample_count) {
  STOKEFS_CHECK(options.scope_count <= options.sample_count);
  opening_.reserve(kOpeningCountMax);
}

bool PassDetector::OnRead(SampleIndex sample) {
  if (opened_ || doubt_ == 0) {
    opening_.clear();
    opened_ = false;
    fresh_count_ = doubted_count_ = 0;
  }
  if (pass_count_ == 0) {
    pass_count_ = 1;
    used_[sample.value] = true;
    used_count_ = 1;
    opening_.push_back(sample);
    return opened_ = true;
  }
  bool const fresh = !used_[sample.value];
  if (fresh) {
    used_[sample.value] = true;
    ++used_count_;
    if (doubt_ == 0) return false;
    --doubt_;
    ++fresh_count_;
  } else {
    doubt_ += kRepeatDoubt;
    ++repeat_count_;
  }
  ++doubted_count_;
  // Beyond this the oldest are let go: they count as read in the old pass.
  if (opening_.size() == kOpeningCountMax) opening_.erase(opening_.begin());
  opening_.push_back(sample);
  bool const complete = !fresh && used_count_ >= scope_count_;
  if (!complete && doubt_ < kDoubtMax) return false;
  // Nothing came between the last sample of a complete pass and this repeat.
  if (complete) opening_.assign(1, sample);
  bool const blurred = !complete && fresh_count_ * 8 > doubted_count_ && RepeatsLikeDraws();
  blurred_count_ = blurred ? blurred_count_ + 1 : 0;
  BeginPass();
  return opened_ = true;
}

// Draws of `used_count_` different samples have so many repeats among them on average, where all
// are drawn alike, and more where they are not.
bool PassDetector::RepeatsLikeDraws() const {
  double const share = std::min(static_cast<double>(used_count_) / scope_count_, 0.99);
  double const expected_count = scope_count_ * -std::log1p(-share) - used_count_;
  return 4.0 * repeat_count_ >= expected_count;
}

void PassDetector::BeginPass() {
  std::swap(used_, used_before_);
  std::fill(used_.begin(), used_.end(), false);
  repeat_count_ = 0;
  used_count_ = 0;
  doubt_ = 0;
  ++pass_count_;
  for (SampleIndex const sample : opening_) {
    used_count_ += used_[sample.value] ? 0 : 1;
    used_[sample.value] = true;
  }
}

}  // namespace stokefs::cache
