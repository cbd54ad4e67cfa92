// From one epoch's order to the next: what is tried first once an order is known.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hints/candidate.h"
#include "hints/default_generator.h"

namespace stokefs::hints {

// How an order follows from the one `epochs` before.
struct SuccessionRule {
  enum class Kind : uint8_t {
    kRepeat,    // the same again: set_epoch never called, or seeded anew alike
    kNextSeed,  // seed + 1 an epoch
    kStream,    // `gap` outputs further along the same generator, an epoch
    kDefault,   // the sampler's seed is `gap` outputs further along the default generator
  };
  Kind kind = Kind::kRepeat;
  uint64_t gap = 0;

  bool operator==(const SuccessionRule&) const = default;
};

struct Successor {
  Candidate candidate;
  SuccessionRule rule;
};

// Gaps of the default generator's draws that are tried, for each epoch: every second output up to
// this. A loader takes 2 or 4 an epoch, a validation loader 2, a sampler's restart 2.
inline constexpr uint32_t kDefaultGapMax = 64;

// What can stand `epochs` (at least 1) after `known`, likeliest first: by `confirmed`, the rule
// that held before, and then by all others. `positions`: of known's seed in a default generator, if
// known. Their shares of the prior sum to 0.4.
std::vector<Successor> Successors(const Candidate& known, uint32_t epochs,
                                  std::span<const GeneratorPosition> positions,
                                  std::optional<SuccessionRule> confirmed);

// Guesses that must be looked at in full, because there are few and reads may be hidden: one a
// step.
class SuccessorSource final : public CandidateSource {
 public:
  explicit SuccessorSource(std::vector<Successor> successors)
      : successors_(std::move(successors)) {}

  std::string_view Name() const override { return "successors"; }
  bool Step(std::vector<Candidate>& found) override;

 private:
  const std::vector<Successor> successors_;
  size_t next_ = 0;
};

}  // namespace stokefs::hints
