// The 32-bit Mersenne Twister as PyTorch's CPU generator seeds and runs it.
//
// torch.Generator.manual_seed(s) keeps 64 bits of s but initialises the engine with the low 32, by
// Knuth's multiplier (Matsumoto and Nishimura, "Mersenne Twister", TOMACS 8(1), 1998, in the 2002
// initialisation), so outputs are those of std::mt19937(uint32_t(s)). Own code, because recognition
// needs what the standard class hides: the first outputs without the whole state, and the state
// word behind an output. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace stokefs::hints {

namespace mt {
inline constexpr size_t kStateCount = 624;
inline constexpr size_t kMiddle = 397;
inline constexpr uint32_t kSeedMultiplier = 1812433253u;
inline constexpr uint32_t kMatrix = 0x9908b0dfu;
inline constexpr uint32_t kUpper = 0x80000000u;
inline constexpr uint32_t kLower = 0x7fffffffu;
}  // namespace mt

class Mt19937 {
 public:
  explicit Mt19937(uint32_t seed);

  uint32_t Next() {
    if (next_ == mt::kStateCount) Twist();
    return Temper(state_[next_++]);
  }
  // As if `count` outputs had been drawn: about 0.5 ns each, because they are not tempered.
  void Skip(uint64_t count);

  static uint32_t Temper(uint32_t word) {
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
  }
  // The state word whose output is `output`.
  static uint32_t Untemper(uint32_t output);

  // Outputs 0, 1, ... of `seed`, at most kFirstOutputCountMax of them: half the price of a whole
  // state, since output i needs the initial words i, i + 1 and i + 397 only.
  static constexpr size_t kFirstOutputCountMax = mt::kStateCount - mt::kMiddle;
  static void FirstOutputs(uint32_t seed, std::span<uint32_t> outputs);

  // Words of the present block that have not been drawn, untempered; DropBlock() makes the next.
  std::span<const uint32_t> RestOfBlock() const { return std::span(state_).subspan(next_); }
  void DropBlock() { Twist(); }

 private:
  void Twist();

  std::array<uint32_t, mt::kStateCount> state_;
  size_t next_ = mt::kStateCount;
};

}  // namespace stokefs::hints
