// Random numbers of the simulator: the same on every machine for the same seed.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace stokefs::tools {

class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) : engine_(seed) {}

  uint32_t Below(uint32_t bound) {
    return static_cast<uint32_t>(((engine_() >> 32) * bound) >> 32);
  }
  double Unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // [0, 1)
  // Nearly normal, mean 0, variance 1: a sum of 12 uniform numbers, without a tail beyond 6.
  double Normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += Unit();
    return sum;
  }
  void Shuffle(std::span<uint32_t> values) {
    for (auto left = static_cast<uint32_t>(values.size()); left > 1; --left)
      std::swap(values[left - 1], values[Below(left)]);
  }

 private:
  std::mt19937_64 engine_;
};

// Draws numbers with given weights in O(1): the alias method (Walker 1977, Vose 1991).
class WeightedDraw {
 public:
  // At least one weight, all finite and at least 0, not all 0.
  explicit WeightedDraw(std::span<const double> weights);
  uint32_t Draw(SimRandom& random) const {
    uint32_t const at = random.Below(static_cast<uint32_t>(columns_.size()));
    return random.Unit() < columns_[at].own_share ? at : columns_[at].alias;
  }

 private:
  struct Column {
    float own_share = 1;
    uint32_t alias = 0;
  };
  std::vector<Column> columns_;
};

}  // namespace stokefs::tools
