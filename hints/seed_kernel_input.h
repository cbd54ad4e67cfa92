// What a seed kernel is given: nothing but plain values, since its files are compiled for CPUs that
// the calling one may not be, and must share no inline code with the others.
#pragma once

#include <cstdint>

namespace stokefs::hints {

inline constexpr uint32_t kFilterWindowMax = 72;  // outputs between the first and the last tested
inline constexpr uint32_t kFilterGroupsMax = 128;
inline constexpr uint32_t kFilterConditionsMax = 1024;  // of all groups; 36 KB of a GPU's constants
inline constexpr uint32_t kSeedKernelStep = 1024;  // divisible by every kernel's lanes * chains

// Output `first_output + window_index` modulo m is `remainder`, in the form that seed_filter.h
// explains: rotate_right((output - remainder) * inverse, rotation) <= limit.
struct SeedCondition {
  uint32_t window_index = 0;
  uint32_t remainder = 0;
  uint32_t inverse = 1;
  uint32_t rotation = 0;
  uint32_t limit = 0;
};

struct SeedKernelInput {
  const SeedCondition* conditions;  // group by group
  uint32_t condition_count;
  uint32_t group_size;
  uint32_t first_output;
  uint32_t window_count;
  uint32_t first_seed;
  uint32_t seed_count;  // a multiple of kSeedKernelStep; first_seed + seed_count <= 2^32
};

}  // namespace stokefs::hints
