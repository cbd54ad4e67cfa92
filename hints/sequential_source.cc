#include "hints/sequential_source.h"

#include <algorithm>

#include "hints/evidence.h"
#include "hints/opening_tester.h"

namespace stokefs::hints {

bool SequentialSource::Step(std::vector<Candidate>& found) {
  std::vector<Candidate> mine;
  for (auto const& opening : openings_) {
    size_t const read_count = std::min<size_t>(opening.indices.size(), kReadsMin);
    if (read_count < kReadsMin) continue;
    auto const places = std::span(opening.indices).first(read_count);
    if (std::ranges::any_of(places, [&](uint32_t index) { return index >= sample_count_; }))
      continue;
    auto const score = ScoreRun(sample_count_, places);
    if (!score || score->gain_log10 < OpeningTester::kGainMinLog10) continue;
    Candidate const candidate{
        .order = {.kind = OrderKind::kSequential, .sample_count = sample_count_},
        .world = score->world,
        .share_log10 = kShareLog10 + WorldShareLog10(score->world)};
    if (std::ranges::find(mine, candidate) == mine.end()) mine.push_back(candidate);
  }
  found.insert(found.end(), mine.begin(), mine.end());
  return false;
}

}  // namespace stokefs::hints
