// A plan and a ranking that the test writes down.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "cache/plan.h"
#include "cache/sample_ranking.h"

namespace stokefs::testing {

class FakePlan final : public cache::Plan {
 public:
  explicit FakePlan(std::vector<std::optional<cache::NodeId>> samples)
      : samples_(samples.begin(), samples.end()) {}

  uint64_t SampleCount() const override { return samples_.size(); }
  std::optional<cache::NodeId> At(uint64_t position) const override {
    if (position >= samples_.size()) return std::nullopt;
    return samples_[position];
  }
  std::optional<uint64_t> NextUse(cache::NodeId node, uint64_t from) const override {
    if (from >= samples_.size()) return std::nullopt;
    auto const begin = samples_.begin() + static_cast<std::ptrdiff_t>(from);
    auto const at = std::find(begin, samples_.end(), std::optional(node));
    if (at != samples_.end()) return static_cast<uint64_t>(at - samples_.begin());
    return std::nullopt;
  }

 private:
  // No vector: gcc 12 warns wrongly of array bounds in what it inlines.
  const std::deque<std::optional<cache::NodeId>> samples_;
};

class FakeRanking final : public cache::SampleRanking {
 public:
  explicit FakeRanking(std::map<cache::NodeId, double> importance = {})
      : importance_(std::move(importance)) {}

  double Importance(cache::NodeId node) const override {
    auto const at = importance_.find(node);
    return at == importance_.end() ? 1.0 : at->second;
  }

 private:
  const std::map<cache::NodeId, double> importance_;
};

}  // namespace stokefs::testing
