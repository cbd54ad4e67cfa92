// The order that needs no generator: samples as they are sorted, shared out among ranks or not.
#pragma once

#include <span>
#include <vector>

#include "hints/candidate.h"

namespace stokefs::hints {

class SequentialSource final : public CandidateSource {
 public:
  static constexpr double kShareLog10 = -1.3;  // of the prior: 0.05

  SequentialSource(uint32_t sample_count, std::span<const Opening> openings)
      : sample_count_(sample_count), openings_(openings.begin(), openings.end()) {}

  std::string_view Name() const override { return "sequential"; }
  bool Step(std::vector<Candidate>& found) override;

 private:
  const uint32_t sample_count_;
  const std::vector<Opening> openings_;
};

}  // namespace stokefs::hints
