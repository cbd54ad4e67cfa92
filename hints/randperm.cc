#include "hints/randperm.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "base/check.h"

namespace stokefs::hints {

std::vector<uint32_t> Randperm(Mt19937& generator, uint32_t n) {
  STOKEFS_CHECK(n < kRandpermCountMax);
  std::vector<uint32_t> entries(n);
  std::iota(entries.begin(), entries.end(), 0u);
  for (uint32_t i = 0; i + 1 < n; ++i)
    std::swap(entries[i], entries[i + generator.Next() % (n - i)]);
  return entries;
}

DrawTable::DrawTable(uint32_t n, uint32_t step_count) : n_(n) {
  STOKEFS_CHECK(step_count <= n);
  reciprocals_.reserve(step_count);
  for (uint32_t i = 0; i < step_count; ++i) reciprocals_.push_back(UINT64_MAX / (n - i) + 1);
}

std::optional<uint32_t> Landing(uint32_t value, std::span<const uint32_t> targets) {
  size_t from = 0;
  uint32_t at = value;
  for (;;) {
    // Until step `at` throws it, the value lies still.
    size_t const to = std::min<size_t>(targets.size(), size_t{at} + 1);
    auto const found = std::find(targets.begin() + from, targets.begin() + to, at);
    if (found != targets.begin() + to) return static_cast<uint32_t>(found - targets.begin());
    if (at >= targets.size()) return std::nullopt;
    from = to;
    at = targets[at];
  }
}

std::optional<std::vector<uint32_t>> DrawsOfPrefix(uint32_t n, std::span<const uint32_t> values) {
  if (values.size() > n) return std::nullopt;
  // Only places that differ from the identity: value -> where it lies, place -> what lies there.
  std::unordered_map<uint32_t, uint32_t> place_of, value_at;
  auto const look_up = [](const auto& map, uint32_t key) {
    auto const at = map.find(key);
    return at == map.end() ? key : at->second;
  };
  std::vector<uint32_t> draws;
  for (uint32_t i = 0; i < values.size(); ++i) {
    if (values[i] >= n) return std::nullopt;
    uint32_t const place = look_up(place_of, values[i]);
    if (place < i) return std::nullopt;  // an earlier entry holds it
    uint32_t const thrown = look_up(value_at, i);
    draws.push_back(place - i);
    value_at[i] = values[i];
    value_at[place] = thrown;
    place_of[thrown] = place;
    place_of[values[i]] = i;
  }
  return draws;
}

}  // namespace stokefs::hints
