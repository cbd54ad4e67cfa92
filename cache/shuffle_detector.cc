#include "cache/shuffle_detector.h"

#include <algorithm>

namespace stokefs::cache {

bool ShuffleDetector::OnRead(BlockKey key) {
  if (key == last_) return false;
  bool const follows = IsNear(key) || Follows(key);
  last_ = key;
  nodes_[node_count_++ % nodes_.size()] = key.node.value;
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
  constexpr uint32_t kNearExtents = 8, kBehindMax = 4, kNearShare = 16;
  auto const distance = [](uint32_t a, uint32_t b) { return std::max(a, b) - std::min(a, b); };
  if (key.node == last_.node) return distance(key.index, last_.index) <= kNearExtents;
  if (node_count_ == 0) return false;
  auto const end = nodes_.begin() + static_cast<ptrdiff_t>(std::min(node_count_, nodes_.size()));
  bool const is_behind = std::any_of(nodes_.begin(), end, [&](uint32_t node) {
    return key.node.value > node && key.node.value - node <= kBehindMax;
  });
  auto const [least, most] = std::minmax_element(nodes_.begin(), end);
  return is_behind || distance(key.node.value, last_.node.value) <= (*most - *least) / kNearShare;
}

bool ShuffleDetector::Follows(BlockKey key) const {
  auto const end =
      expected_.begin() + static_cast<ptrdiff_t>(std::min(expected_count_, expected_.size()));
  return std::find(expected_.begin(), end, key) != end;
}

}  // namespace stokefs::cache
