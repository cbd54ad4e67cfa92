// The kernel itself, in the compiler's vector extensions: included by one file an instruction set,
// which defines STOKEFS_SEED_VECTOR_BYTES and STOKEFS_SEED_CHAINS (no template: gcc 12 cannot index
// a vector whose size depends on a parameter). All in an anonymous namespace, no standard library:
// see seed_kernel_input.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hints/seed_kernel_input.h"

namespace stokefs::hints {
namespace {

struct SeedKernelBody {
  static constexpr uint32_t kVectorBytes = STOKEFS_SEED_VECTOR_BYTES;
  static constexpr uint32_t kChains = STOKEFS_SEED_CHAINS;
  // NOLINTNEXTLINE(modernize-use-using): attributes on a `using` are ignored by gcc 12
  typedef uint32_t Vector __attribute__((vector_size(STOKEFS_SEED_VECTOR_BYTES)));
  static constexpr uint32_t kLanes = kVectorBytes / sizeof(uint32_t);
  static constexpr uint32_t kSeedsAtOnce = kLanes * kChains;
  static_assert(kSeedKernelStep % kSeedsAtOnce == 0);

  // For each chain: the initial words around the outputs that are tested.
  struct Windows {
    Vector head[kFilterWindowMax + 1][kChains];
    Vector tail[kFilterWindowMax][kChains];
  };

  static bool AnySet(const Vector& mask) {
    typedef uint64_t Halves __attribute__((vector_size(STOKEFS_SEED_VECTOR_BYTES)));  // NOLINT
    auto const halves = (Halves)mask;
    uint64_t any = 0;
    for (unsigned i = 0; i < kVectorBytes / sizeof(uint64_t); ++i) any |= halves[i];
    return any != 0;
  }

  // Replaces word `index` of each chain by the one `skipped` further on.
  static void Advance(Vector (&words)[kChains], uint32_t& index, uint32_t skipped) {
    Vector x[kChains];
#pragma GCC unroll 16
    for (uint32_t c = 0; c < kChains; ++c) x[c] = words[c];
    for (uint32_t i = 0; i < skipped; ++i) {
      ++index;
#pragma GCC unroll 16
      for (uint32_t c = 0; c < kChains; ++c) x[c] = (x[c] ^ (x[c] >> 30)) * 1812433253u + index;
    }
#pragma GCC unroll 16
    for (uint32_t c = 0; c < kChains; ++c) words[c] = x[c];
  }

  static void MakeWindows(const SeedKernelInput& input, uint32_t first_seed, Windows& windows) {
    Vector lanes{};
    for (uint32_t lane = 0; lane < kLanes; ++lane) lanes[lane] = lane;
    Vector words[kChains];
    for (uint32_t c = 0; c < kChains; ++c) words[c] = lanes + (first_seed + c * kLanes);
    uint32_t index = 0;
    Advance(words, index, input.first_output);
    for (uint32_t k = 0; k <= input.window_count; ++k) {
      for (uint32_t c = 0; c < kChains; ++c) windows.head[k][c] = words[c];
      Advance(words, index, 1);
    }
    Advance(words, index, 397 + input.first_output - index);
    for (uint32_t k = 0; k < input.window_count; ++k) {
      for (uint32_t c = 0; c < kChains; ++c) windows.tail[k][c] = words[c];
      Advance(words, index, 1);
    }
  }

  static Vector Output(const Windows& windows, uint32_t k, uint32_t c) {
    Vector const y = (windows.head[k][c] & 0x80000000u) | (windows.head[k + 1][c] & 0x7fffffffu);
    Vector word = windows.tail[k][c] ^ (y >> 1) ^ ((0u - (y & 1u)) & 0x9908b0dfu);
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
  }

  static Vector Holds(const SeedCondition& condition, const Vector& output) {
    Vector const quotient = (output - condition.remainder) * condition.inverse;
    uint32_t const right = condition.rotation, left = (32u - right) & 31u;
    Vector const rotated = (quotient >> right) | (quotient << left);
    return (Vector)(rotated <= condition.limit);
  }

  // All bits of a lane set: its seed passes.
  static Vector Judge(const SeedKernelInput& input, Windows& windows, uint32_t c) {
    for (uint32_t k = 0; k < input.window_count; ++k) windows.tail[k][c] = Output(windows, k, c);
    Vector any = windows.tail[0][c] ^ windows.tail[0][c];
    for (uint32_t at = 0; at < input.condition_count; at += input.group_size) {
      Vector all = Holds(input.conditions[at], windows.tail[input.conditions[at].window_index][c]);
      for (uint32_t i = 1; i < input.group_size; ++i) {
        auto const& condition = input.conditions[at + i];
        all &= Holds(condition, windows.tail[condition.window_index][c]);
      }
      any |= all;
    }
    return any;
  }

  static size_t Scan(const SeedKernelInput& input, uint32_t* passed) {
    size_t passed_count = 0;
    Windows windows;
    for (uint32_t done = 0; done < input.seed_count; done += kSeedsAtOnce) {
      uint32_t const first_seed = input.first_seed + done;
      MakeWindows(input, first_seed, windows);
      for (uint32_t c = 0; c < kChains; ++c) {
        Vector const mask = Judge(input, windows, c);
        if (!AnySet(mask)) continue;
        for (uint32_t lane = 0; lane < kLanes; ++lane) {
          if (mask[lane] != 0) passed[passed_count++] = first_seed + c * kLanes + lane;
        }
      }
    }
    return passed_count;
  }
};

}  // namespace
}  // namespace stokefs::hints
