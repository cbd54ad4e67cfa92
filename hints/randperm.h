// torch.randperm(n) on the CPU, forward and the questions that recognition asks backward.
//
// ATen's randperm_cpu is Fisher-Yates from the front on the identity: for step i = 0 .. n-2,
// z = next32() % (n - i), swap(entry[i], entry[i + z]). Newer versions do the same below
// kRandpermCountMax and draw 64 bits above, where nothing here applies. What follows from it:
//  - step i is the last that touches entry i: the first k entries need the first k outputs (n - 1
//    for all of them), and nothing else;
//  - a value moves at most by two kinds of step: the one whose i + z is where it lies, which puts
//    it into entry i for good, and step i = where it lies, which throws it to i + z. So where a
//    value lands is found without an array (Landing);
//  - the values of entries 0 .. k-1 determine z of steps 0 .. k-1 (DrawsOfPrefix);
//  - entry p holds v, v >= p: z of step p was v - p, whatever else happened, because v had not
//    been thrown before. This is what is known of one entry alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hints/mt19937.h"

namespace stokefs::hints {

inline constexpr uint32_t kRandpermCountMax = UINT32_MAX / 20;  // n must be below

// Draws max(n, 1) - 1 outputs.
std::vector<uint32_t> Randperm(Mt19937& generator, uint32_t n);

// z of a step by two multiplications instead of a division (Lemire, Kaser and Kurz, "Faster
// remainder by direct computation", 2019). 8 bytes a step. Immutable: thread-safe.
class DrawTable {
 public:
  DrawTable(uint32_t n, uint32_t step_count);

  uint32_t StepCount() const { return static_cast<uint32_t>(reciprocals_.size()); }
  // output % (n - step)
  uint32_t Draw(uint32_t step, uint32_t output) const {
    __extension__ using Wide = unsigned __int128;
    uint64_t const fraction = reciprocals_[step] * output;
    return static_cast<uint32_t>((Wide{fraction} * (n_ - step)) >> 64);
  }

 private:
  const uint32_t n_;
  std::vector<uint64_t> reciprocals_;  // ceil(2^64 / (n - step)), 0 for 1
};

// The entry in which `value` lands, if the steps in `targets` put it there: targets[i] = i + z of
// step i. None: not within these steps.
std::optional<uint32_t> Landing(uint32_t value, std::span<const uint32_t> targets);

// z of steps 0 .. values.size()-1, given entries 0 .. values.size()-1. None when no permutation of
// n begins so (a value out of range, or twice).
std::optional<std::vector<uint32_t>> DrawsOfPrefix(uint32_t n, std::span<const uint32_t> values);

}  // namespace stokefs::hints
