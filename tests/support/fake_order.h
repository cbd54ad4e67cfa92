// An order of samples that the test made up: nodes `first`, `first` + 1, ...
#pragma once

#include <algorithm>
#include <vector>

#include "cache/sample_order.h"

namespace stokefs::testing {

// Filled before use, then constant: no lock.
class FakeOrder final : public cache::SampleOrder {
 public:
  std::vector<cache::OrderedSample> SamplesAfter(cache::NodeId node,
                                                 size_t count_max) const override {
    std::vector<cache::OrderedSample> samples;
    for (uint32_t i = node.value + 1; i < end && samples.size() < count_max; ++i) {
      samples.push_back({cache::NodeId{i}, size_bytes});
    }
    return samples;
  }

  uint32_t end = 0;  // one behind the last node
  uint64_t size_bytes = 0;
};

}  // namespace stokefs::testing
