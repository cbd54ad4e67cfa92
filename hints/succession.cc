#include "hints/succession.h"

#include <algorithm>
#include <cmath>

namespace stokefs::hints {
namespace {

constexpr uint32_t kMiscountMax = 3;

using Kind = SuccessionRule::Kind;

// Steps along a generator that a RandomSampler goes on with: two permutations (one of them unused)
// or one, where an epoch is left early; and the workers' base seed or not.
std::vector<uint64_t> StreamGaps(const ShuffleOrder& order) {
  uint64_t const one = order.sample_count - 1;
  if (order.kind == OrderKind::kLoader) return {2 * one + 2, 2 * one, one + 2, one};
  return {2 * one, one, 2 * one + 2};
}

std::vector<SuccessionRule> RulesOf(const ShuffleOrder& order) {
  if (order.kind == OrderKind::kSequential) return {{Kind::kRepeat}};
  std::vector<SuccessionRule> rules;
  auto const add_streams = [&] {
    for (uint64_t const gap : StreamGaps(order)) rules.push_back({Kind::kStream, gap});
  };
  if (order.kind == OrderKind::kLoader) add_streams();
  rules.push_back({Kind::kNextSeed});
  rules.push_back({Kind::kRepeat});
  if (order.kind != OrderKind::kLoader) add_streams();
  return rules;
}

ShuffleOrder Follow(ShuffleOrder order, const SuccessionRule& rule, uint32_t epochs) {
  // Found among all seeds, it was taken for a default generator's; what follows so is not.
  if (order.kind == OrderKind::kDefault) order.kind = OrderKind::kSeeded;
  if (rule.kind == Kind::kNextSeed) order.seed += epochs;
  if (rule.kind == Kind::kStream) order.first_output += rule.gap * epochs;
  return order;
}

}  // namespace

std::vector<Successor> Successors(const Candidate& known, uint32_t epochs,
                                  std::span<const GeneratorPosition> positions,
                                  std::optional<SuccessionRule> confirmed) {
  std::vector<Successor> successors;
  auto const add = [&](const ShuffleOrder& order, const SuccessionRule& rule) {
    auto const same = [&](const Successor& other) { return other.candidate.order == order; };
    if (std::ranges::none_of(successors, same))
      successors.push_back({{order, known.world, 0}, rule});
  };
  auto const add_defaults = [&](std::optional<uint64_t> gap) {
    for (auto const& position : positions) {
      for (auto const& next : SeedsAfter(position, kDefaultGapMax * epochs)) {
        if (gap && next.gap != *gap * epochs) continue;
        ShuffleOrder order = known.order;
        order.seed = next.seed;
        add(order, {Kind::kDefault, next.gap});
      }
    }
  };
  if (confirmed && confirmed->kind == Kind::kDefault) {
    add_defaults(confirmed->gap);
  } else if (confirmed) {
    add(Follow(known.order, *confirmed, epochs), *confirmed);
  }
  size_t const sure_count = successors.size();
  if (known.order.kind == OrderKind::kDefault) add_defaults(std::nullopt);
  // Fewer epochs may have gone by than were counted: a stray reader can look like a new one.
  for (uint32_t back = 0; back < std::min(epochs, kMiscountMax); ++back) {
    for (auto const& rule : RulesOf(known.order))
      add(Follow(known.order, rule, epochs - back), rule);
  }

  for (size_t i = 0; i < successors.size(); ++i) {
    double const among =
        static_cast<double>(i < sure_count ? sure_count : successors.size() - sure_count);
    successors[i].candidate.share_log10 = std::log10(0.2 / among);
  }
  return successors;
}

bool SuccessorSource::Step(std::vector<Candidate>& found) {
  if (next_ < successors_.size()) found.push_back(successors_[next_++].candidate);
  return next_ < successors_.size();
}

}  // namespace stokefs::hints
