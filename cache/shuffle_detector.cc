#include "cache/shuffle_detector.h"

#include <algorithm>

namespace stokefs::cache {

bool ShuffleDetector::OnRead(BlockKey key) {
  if (key == last_) return false;
  bool const follows = IsNear(key) || Follows(key);
  last_ = key;
  auto const expect = [this](BlockKey next) {
    expected_[expected_count_++ % expected_.size()] = next;
  };
  expect({key.node, key.index + 1});
  auto const after = order_->SamplesAfter(key.node, 1);
  expect(after.empty() ? BlockKey{} : BlockKey{after.front().node, 0});
  if (!follows) {
    ++score_;
    evidence_.push_back(key);
    if (evidence_.size() > kRecentCount) evidence_.erase(evidence_.begin());
  } else if (score_ > 0 && --score_ == 0) {
    evidence_.clear();
  }
  return score_ >= kScoreMin;
}

bool ShuffleDetector::IsNear(BlockKey key) const {
  constexpr uint32_t kNearExtents = 8;
  auto const distance = [](uint32_t a, uint32_t b) { return std::max(a, b) - std::min(a, b); };
  if (key.node == last_.node) return distance(key.index, last_.index) <= kNearExtents;
  return last_.node != kNoNode && distance(key.node.value, last_.node.value) <= near_;
}

bool ShuffleDetector::Follows(BlockKey key) const {
  auto const end =
      expected_.begin() + static_cast<ptrdiff_t>(std::min(expected_count_, expected_.size()));
  return std::find(expected_.begin(), end, key) != end;
}

}  // namespace stokefs::cache
