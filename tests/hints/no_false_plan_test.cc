// Orders that PyTorch's shuffle did not make must never be recognised. Each round here is another
// order; the program takes their number, for longer runs by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tests/hints/shuffled_readers.h"

namespace stokefs::hints {
namespace {

int rounds = 60;

using testing::LoaderShape;
using testing::ReadsOf;
using testing::SampleRead;

// Python's random.shuffle: from the back, by rejection of getrandbits(k).
std::vector<uint32_t> PythonShuffle(uint32_t n, std::mt19937& random) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  for (uint32_t i = n - 1; i > 0; --i) {
    int const bits = std::bit_width(i + 1);
    uint32_t j = 0;
    do j = static_cast<uint32_t>(random()) >> (32 - bits);
    while (j > i);
    std::swap(order[i], order[j]);
  }
  return order;
}

// NumPy's RandomState.shuffle: from the back, by rejection of a masked draw.
std::vector<uint32_t> NumpyShuffle(uint32_t n, std::mt19937& random) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  for (uint32_t i = n - 1; i > 0; --i) {
    uint32_t const mask = std::bit_ceil(i + 1) - 1;
    uint32_t j = 0;
    do j = static_cast<uint32_t>(random()) & mask;
    while (j > i);
    std::swap(order[i], order[j]);
  }
  return order;
}

// WeightedRandomSampler: with replacement, some samples much likelier than others.
std::vector<uint32_t> Weighted(uint32_t n, std::mt19937& random) {
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < n; ++i) {
    double const x = static_cast<double>(random()) / 4294967296.0;
    order.push_back(static_cast<uint32_t>(x * x * n));
  }
  return order;
}

std::vector<SampleRead> Mixed(uint32_t n, const LoaderShape& shape, std::mt19937& random) {
  // Two jobs behind the same readers.
  auto const one = ReadsOf(PythonShuffle(n, random), shape, random);
  auto const other = ReadsOf(NumpyShuffle(n, random), shape, random);
  std::vector<SampleRead> reads;
  for (size_t i = 0; i < std::min(one.size(), other.size()); ++i)
    reads.push_back(random() % 2 == 0 ? one[i] : other[i]);
  return reads;
}

TEST(NoFalsePlan, OrdersOfOtherGeneratorsAreNotRecognised) {
  unsigned const seed = std::random_device()();
  std::printf("seed %u, %d orders\n", seed, rounds);
  std::mt19937 random(seed);
  for (int round = 0; round < rounds; ++round) {
    // Small ones too, where most can be taken for something else.
    uint32_t const n = round % 2 == 0 ? 32 + random() % 100 : 32 + random() % 20'000;
    uint32_t const world = round % 3 == 0 ? 1 + random() % (n / 32) : 1;
    LoaderShape const shape{.split = {.world = world, .rank = uint32_t(random() % world)},
                            .deal = {1 + uint32_t(random() % 40), 1 + uint32_t(random() % 4)}};
    // The generators are seeded small, as people do; the loops differ.
    std::mt19937 small(random() % 1'000);
    std::vector<SampleRead> reads;
    switch (round % 4) {
      case 0:
        reads = ReadsOf(PythonShuffle(n, small), shape, random);
        break;
      case 1:
        reads = ReadsOf(NumpyShuffle(n, small), shape, random);
        break;
      case 2:
        reads = ReadsOf(Weighted(n, small), shape, random);
        break;
      default:
        reads = Mixed(n, shape, small);
    }
    // The long searches now and then, over few seeds: a match there is as unlikely as over all.
    bool const full = round % 20 == 19;
    Recogniser recogniser({.sample_count = n,
                           .effort = full ? RecogniseEffort::kFull : RecogniseEffort::kCheap,
                           .seeds = {0, 1 << 14}});
    for (size_t i = 0; i < reads.size(); ++i) {
      recogniser.OnRead(reads[i].reader, reads[i].index);
      // As much work as there is, twice: later reads then judge what is pending.
      while ((i == 31 || i == 95) && recogniser.Work()) {
      }
      ASSERT_NE(recogniser.Now(), Recogniser::State::kRecognised)
          << "round " << round << " n " << n << " world " << recogniser.Found()->world << " seed "
          << recogniser.Found()->order.seed << " " << OrderKindName(recogniser.Found()->order.kind)
          << " after " << i + 1 << " reads";
    }
  }
}

}  // namespace
}  // namespace stokefs::hints

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1) stokefs::hints::rounds = std::atoi(argv[1]);
  return RUN_ALL_TESTS();
}
