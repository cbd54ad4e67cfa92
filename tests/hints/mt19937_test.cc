#include "hints/mt19937.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace stokefs::hints {
namespace {

TEST(Mt19937, DrawsWhatTheStandardLibrarysDoes) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (uint32_t const one : {seed, 0u, 1u, UINT32_MAX}) {
    std::mt19937 model(one);
    Mt19937 generator(one);
    for (int i = 0; i < 3'000; ++i) ASSERT_EQ(generator.Next(), model()) << one << " output " << i;
  }
}

TEST(Mt19937, SkippingIsDrawing) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 100; ++round) {
    std::mt19937 model(seed + round);
    Mt19937 generator(seed + round);
    for (int step = 0; step < 5; ++step) {
      unsigned const count = random() % 2'000;
      model.discard(count);
      generator.Skip(count);
      ASSERT_EQ(generator.Next(), model()) << "skipped " << count;
    }
  }
}

TEST(Mt19937, AnOutputTellsItsStateWord) {
  std::mt19937 random(7);
  for (uint32_t const word : {0u, 1u, 0x80000000u, UINT32_MAX})
    EXPECT_EQ(Mt19937::Untemper(Mt19937::Temper(word)), word);
  for (int i = 0; i < 10'000; ++i) {
    uint32_t const word = random();
    ASSERT_EQ(Mt19937::Untemper(Mt19937::Temper(word)), word);
  }
}

TEST(Mt19937, TheFirstOutputsNeedNoWholeState) {
  std::mt19937 random(11);
  for (size_t const count : {size_t{0}, size_t{1}, size_t{5}, Mt19937::kFirstOutputCountMax}) {
    uint32_t const seed = random();
    std::vector<uint32_t> outputs(count);
    Mt19937::FirstOutputs(seed, outputs);
    Mt19937 generator(seed);
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(outputs[i], generator.Next()) << i;
  }
}

}  // namespace
}  // namespace stokefs::hints
