#include "tools/sim_random.h"

#include <numeric>

#include "base/check.h"

namespace stokefs::tools {

WeightedDraw::WeightedDraw(std::span<const double> weights) : columns_(weights.size()) {
  double const sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  STOKEFS_CHECK(sum > 0);
  double const scale = static_cast<double>(weights.size()) / sum;
  std::vector<double> left(weights.size());
  std::vector<uint32_t> small;
  std::vector<uint32_t> large;
  for (uint32_t i = 0; i < weights.size(); ++i) {
    left[i] = weights[i] * scale;
    columns_[i].alias = i;
    (left[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    uint32_t const poor = small.back();
    uint32_t const rich = large.back();
    small.pop_back();
    columns_[poor] = {static_cast<float>(left[poor]), rich};
    left[rich] -= 1 - left[poor];
    if (left[rich] < 1) {
      large.pop_back();
      small.push_back(rich);
    }
  }
}

}  // namespace stokefs::tools
