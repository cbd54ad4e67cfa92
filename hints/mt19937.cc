#include "hints/mt19937.h"

#include "base/check.h"

namespace stokefs::hints {
namespace {

uint32_t Mix(uint32_t high, uint32_t low) {
  uint32_t const y = (high & mt::kUpper) | (low & mt::kLower);
  return (y >> 1) ^ ((0u - (y & 1u)) & mt::kMatrix);
}

uint32_t NextSeedWord(uint32_t word, uint32_t index) {
  return mt::kSeedMultiplier * (word ^ (word >> 30)) + index;
}

}  // namespace

Mt19937::Mt19937(uint32_t seed) {
  state_[0] = seed;
  for (uint32_t i = 1; i < mt::kStateCount; ++i) state_[i] = NextSeedWord(state_[i - 1], i);
}

void Mt19937::Twist() {
  // Three loops without a modulus, so that the compiler can vectorise them.
  constexpr size_t kBehind = mt::kStateCount - mt::kMiddle;
  uint32_t* const s = state_.data();
  for (size_t i = 0; i < kBehind; ++i) s[i] = s[i + mt::kMiddle] ^ Mix(s[i], s[i + 1]);
  for (size_t i = kBehind; i < mt::kStateCount - 1; ++i)
    s[i] = s[i - kBehind] ^ Mix(s[i], s[i + 1]);
  s[mt::kStateCount - 1] = s[mt::kMiddle - 1] ^ Mix(s[mt::kStateCount - 1], s[0]);
  next_ = 0;
}

void Mt19937::Skip(uint64_t count) {
  for (;;) {
    uint64_t const rest = mt::kStateCount - next_;
    if (count <= rest) {
      next_ += count;
      return;
    }
    count -= rest;
    Twist();
  }
}

uint32_t Mt19937::Untemper(uint32_t output) {
  uint32_t y = output;
  y ^= y >> 18;
  y ^= (y << 15) & 0xefc60000u;
  // Each round gets seven (eleven) more bits right.
  uint32_t x = y;
  for (int round = 0; round < 4; ++round) x = y ^ ((x << 7) & 0x9d2c5680u);
  y = x;
  for (int round = 0; round < 2; ++round) x = y ^ (x >> 11);
  return x;
}

void Mt19937::FirstOutputs(uint32_t seed, std::span<uint32_t> outputs) {
  STOKEFS_CHECK(outputs.size() <= kFirstOutputCountMax);
  std::array<uint32_t, kFirstOutputCountMax + 1> head;
  uint32_t word = seed;
  uint32_t index = 0;
  auto const advance = [&] { word = NextSeedWord(word, ++index); };
  for (size_t i = 0; i <= outputs.size(); ++i) {
    head[i] = word;
    advance();
  }
  while (index < mt::kMiddle) advance();
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i] = Temper(word ^ Mix(head[i], head[i + 1]));
    advance();
  }
}

}  // namespace stokefs::hints
