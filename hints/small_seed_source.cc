#include "hints/small_seed_source.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "hints/default_generator.h"
#include "hints/evidence.h"

namespace stokefs::hints {
namespace {

// Shares of the prior: a tenth for each of the three places, evenly on the seeds.
double const kPlaceShareLog10 = std::log10(0.1 / (SmallSeedSource::kSeedMax + 1));
double const kUnseededShareLog10 = std::log10(0.01);

OpeningTester::Reach ReachOf(SmallSeedSource::Where where) {
  OpeningTester::Reach reach;
  if (where == SmallSeedSource::Where::kAnyWorker)
    reach.first_read = SmallSeedSource::kAnyWorkerReach;
  return reach;
}

}  // namespace

SmallSeedSource::SmallSeedSource(uint32_t sample_count, std::span<const Opening> openings,
                                 Where where)
    : sample_count_(sample_count),
      where_(where),
      seeds_a_step_(where == Where::kFirstBatch ? 512 : 8),
      tester_(sample_count, openings, ReachOf(where)) {}

std::string_view SmallSeedSource::Name() const {
  return where_ == Where::kFirstBatch ? "small seeds" : "small seeds, any worker";
}

void SmallSeedSource::TestAt(const ShuffleOrder& order, Mt19937 generator, double share_log10,
                             std::vector<Candidate>& found) {
  tester_.Test(generator, worlds_);
  for (uint32_t const world : worlds_)
    found.push_back({order, world, share_log10 + WorldShareLog10(world)});
}

void SmallSeedSource::TestOneRank(const ShuffleOrder& order, uint32_t first_output,
                                  double share_log10, std::vector<Candidate>& found) {
  // One rank's first batch begins with entry 0, which costs little to look at.
  if (where_ == Where::kFirstBatch && !tester_.MayBegin(first_output)) return;
  Mt19937 generator(order.seed);
  generator.Skip(order.first_output);
  TestAt(order, generator, share_log10, found);
}

void SmallSeedSource::TestSeed(uint32_t seed, double share_log10, std::vector<Candidate>& found) {
  ShuffleOrder order{.kind = OrderKind::kSeeded, .sample_count = sample_count_, .seed = seed};
  TestAt(order, Mt19937(seed), share_log10, found);

  std::array<uint32_t, kFirstSeedOutputs.back() + 1> outputs;
  Mt19937::FirstOutputs(seed, outputs);
  order.kind = OrderKind::kLoader;
  order.first_output = 2;
  TestOneRank(order, outputs[2], share_log10, found);

  order.kind = OrderKind::kDefault;
  order.first_output = 0;
  for (uint32_t const at : kFirstSeedOutputs) {
    order.seed = outputs[at];
    std::array<uint32_t, 1> first;
    Mt19937::FirstOutputs(order.seed, first);
    TestOneRank(order, first[0],
                share_log10 - std::log10(static_cast<double>(kFirstSeedOutputs.size())), found);
  }
}

bool SmallSeedSource::Step(std::vector<Candidate>& found) {
  if (tester_.Empty()) return false;
  if (next_ == 0) TestSeed(kUnseeded, kUnseededShareLog10, found);
  uint32_t const end = std::min(next_ + seeds_a_step_, kSeedMax + 1);
  for (; next_ < end; ++next_) TestSeed(next_, kPlaceShareLog10, found);
  return next_ <= kSeedMax;
}

}  // namespace stokefs::hints
