#include "hints/opening_tester.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "hints/evidence.h"

namespace stokefs::hints {
namespace {

constexpr size_t kReadsTested = 4;

uint32_t StepsWithin(uint32_t sample_count, OpeningTester::Reach reach) {
  uint64_t const reached = uint64_t{reach.first_read} + reach.later_reads;
  return static_cast<uint32_t>(
      std::min<uint64_t>(sample_count > 0 ? sample_count - 1 : 0, reached));
}

}  // namespace

std::optional<RunScore> ScoreRun(uint32_t sample_count, std::span<const uint32_t> places) {
  uint32_t world = 0;
  for (size_t i = 1; i < places.size(); ++i) {
    if (places[i] <= places[i - 1]) return std::nullopt;
    world = std::gcd(world, places[i] - places[i - 1]);
  }
  if (world == 0 || world > kWorldMax) return std::nullopt;
  RunScore score{.world = world};
  score.gain_log10 = WorldShareLog10(world) + StartGainLog10(sample_count, world, places[0]);
  GapModel gaps;
  for (size_t i = 1; i < places.size(); ++i) {
    uint64_t const gap = (places[i] - places[i - 1]) / world;
    score.gain_log10 += StepGainLog10(gaps.Log10(gap), sample_count - i);
    gaps.Learn(gap);
  }
  return score;
}

OpeningTester::OpeningTester(uint32_t sample_count, std::span<const Opening> openings, Reach reach)
    : sample_count_(sample_count),
      reach_(reach),
      table_(sample_count, StepsWithin(sample_count, reach)) {
  for (auto const& opening : openings) {
    if (opening.indices.size() < kReadsTested) continue;
    std::span const head(opening.indices.data(), kReadsTested);
    if (std::ranges::any_of(head, [&](uint32_t index) { return index >= sample_count; })) continue;
    readers_.push_back({{head.begin(), head.end()}});
  }
  targets_.reserve(table_.StepCount());
}

void OpeningTester::DrawUntil(Mt19937& generator, uint32_t count) {
  count = std::min(count, table_.StepCount());
  for (auto i = static_cast<uint32_t>(targets_.size()); i < count; ++i)
    targets_.push_back(i + table_.Draw(i, generator.Next()));
}

std::optional<uint32_t> OpeningTester::Find(uint32_t value) const {
  if (auto const place = Landing(value, targets_)) return place;
  // All steps are made, and no entry before the last holds it.
  if (targets_.size() + 1 == sample_count_) return sample_count_ - 1;
  return std::nullopt;
}

bool OpeningTester::MayBegin(uint32_t output) const {
  if (table_.StepCount() == 0) return false;
  uint32_t const first = table_.Draw(0, output);
  return std::ranges::any_of(readers_,
                             [&](const Reader& reader) { return reader.indices[0] == first; });
}

void OpeningTester::Test(Mt19937& generator, std::vector<uint32_t>& worlds) {
  worlds.clear();
  targets_.clear();
  DrawUntil(generator, reach_.first_read);
  for (auto const& reader : readers_) {
    std::array<uint32_t, kReadsTested> places;
    auto const first = Find(reader.indices[0]);
    if (!first) continue;
    DrawUntil(generator, *first + reach_.later_reads);
    bool found = true;
    places[0] = *first;
    for (size_t i = 1; found && i < kReadsTested; ++i) {
      auto const place = Find(reader.indices[i]);
      found = place && *place > places[i - 1];
      places[i] = place.value_or(0);
    }
    if (!found) continue;
    auto const score = ScoreRun(sample_count_, places);
    if (!score || score->gain_log10 < kGainMinLog10) continue;
    if (std::ranges::find(worlds, score->world) == worlds.end()) worlds.push_back(score->world);
  }
}

}  // namespace stokefs::hints
