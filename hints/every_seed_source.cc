#include "hints/every_seed_source.h"

#include <algorithm>
#include <cmath>

#include "hints/evidence.h"

namespace stokefs::hints {
namespace {

using Groups = std::vector<std::vector<OutputRemainder>>;

double const kShareLog10 = std::log10(0.05 / 4294967296.0);
// What passes by chance costs about 2.5 µs, a seed 0.02: with one in 4,096 that is a thirtieth.
constexpr double kPassedShareMax = 1.0 / 4096;
constexpr size_t kConditionsMax = 4;

std::vector<Opening> FirstOf(std::span<const Opening> openings, size_t count_max) {
  std::vector<Opening> usable;
  for (auto const& opening : openings) {
    if (usable.size() < count_max && opening.indices.size() >= kReadsMin) usable.push_back(opening);
  }
  return usable;
}

// The reader has the first batch of the only rank: its reads are entries 0, 1, ... of the order, as
// many as are needed and no more, because the batch may be small.
Groups OneRankGroups(uint32_t sample_count, std::span<const Opening> openings) {
  double passed_share = 2.0 * static_cast<double>(openings.size());
  size_t condition_count = 0;
  while (condition_count < kConditionsMax && passed_share > kPassedShareMax) {
    passed_share /= sample_count;
    ++condition_count;
  }
  Groups groups;
  for (auto const& opening : openings) {
    auto const draws =
        DrawsOfPrefix(sample_count, std::span(opening.indices).first(condition_count));
    if (!draws) continue;
    for (uint32_t const first_output : {0u, 2u}) {
      auto& group = groups.emplace_back();
      for (uint32_t i = 0; i < condition_count; ++i)
        group.push_back({first_output + i, (*draws)[i], uint64_t{sample_count} - i});
    }
  }
  return groups;
}

// The reader has the first batch of some rank r: its first read v is entry r, and v >= r says that
// step r drew v - r (randperm.h).
Groups RankGroups(uint32_t sample_count, std::span<const Opening> openings) {
  Groups groups;
  if (openings.empty() || sample_count < 64 * EverySeedSource::kRankMax) return groups;
  uint32_t const first_read = openings[0].indices[0];
  if (first_read >= sample_count) return groups;
  for (uint32_t rank = 0; rank < EverySeedSource::kRankMax && rank <= first_read; ++rank)
    groups.push_back({{rank, first_read - rank, uint64_t{sample_count} - rank}});
  return groups;
}

}  // namespace

EverySeedSource::EverySeedSource(uint32_t sample_count, std::span<const Opening> openings,
                                 Pass pass, SeedScanner& scanner, SeedSearch::Range seeds)
    : sample_count_(sample_count),
      pass_(pass),
      tester_(sample_count, FirstOf(openings, pass == Pass::kOneRank ? kReaderMax : 1), {}) {
  auto const usable = FirstOf(openings, kReaderMax);
  auto const groups = pass == Pass::kOneRank ? OneRankGroups(sample_count, usable)
                                             : RankGroups(sample_count, usable);
  if (!groups.empty()) search_.emplace(SeedFilter(groups), scanner, seeds);
}

std::string_view EverySeedSource::Name() const {
  return pass_ == Pass::kOneRank ? "all seeds" : "all seeds, ranks";
}

void EverySeedSource::Look(uint32_t seed, std::vector<Candidate>& found) {
  Mt19937 generator(seed);
  auto const test = [&](OrderKind kind, uint32_t first_output) {
    Mt19937 at = generator;
    at.Skip(first_output);
    tester_.Test(at, worlds_);
    for (uint32_t const world : worlds_) {
      ShuffleOrder const order{kind, sample_count_, seed, first_output};
      found.push_back({order, world, kShareLog10 + WorldShareLog10(world)});
    }
  };
  if (pass_ == Pass::kRanks) {
    test(OrderKind::kSeeded, 0);
    return;
  }
  test(OrderKind::kDefault, 0);
  test(OrderKind::kLoader, 2);
}

bool EverySeedSource::Step(std::vector<Candidate>& found) {
  if (!search_) return false;
  if (looked_ == passed_.size() && !search_->Done()) {
    passed_.clear();
    looked_ = 0;
    search_->Step(passed_);
  }
  size_t const stop = std::min(passed_.size(), looked_ + kLooksAStep);
  while (looked_ < stop) Look(passed_[looked_++], found);
  return looked_ < passed_.size() || !search_->Done();
}

}  // namespace stokefs::hints
