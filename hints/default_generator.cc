#include "hints/default_generator.h"

#include <algorithm>
#include <utility>

namespace stokefs::hints {

std::vector<uint32_t> GeneratorScan::LikelySeeds() {
  std::vector<uint32_t> seeds;
  for (uint32_t const liked :
       {42u,   0u,   1u,     1234u, 123u,  3407u, 2023u, 2024u, 2025u, 2026u,
        1337u, 100u, 12345u, 2022u, 2021u, 2020u, 777u,  666u,  999u,  1000u})
    seeds.push_back(liked);
  for (uint32_t seed = 0; seed < 64; ++seed) {
    if (std::ranges::find(seeds, seed) == seeds.end()) seeds.push_back(seed);
  }
  return seeds;
}

GeneratorScan::GeneratorScan(uint32_t sampler_seed, std::vector<uint32_t> seeds,
                             uint64_t outputs_max)
    : word_(Mt19937::Untemper(sampler_seed)), seeds_(std::move(seeds)), outputs_max_(outputs_max) {}

namespace {

// Whole blocks are first asked whether they hold the word at all: a loop that vectorises.
bool Holds(std::span<const uint32_t> words, uint32_t wanted) {
  uint32_t any = 0;
  for (uint32_t const word : words) any |= word == wanted ? 1u : 0u;
  return any != 0;
}

}  // namespace

bool GeneratorScan::Step(uint64_t output_count, std::vector<GeneratorPosition>& found) {
  while (seed_at_ < seeds_.size()) {
    if (!generator_) {
      generator_.emplace(seeds_[seed_at_]);
      generator_->DropBlock();
      output_ = 0;
    }
    for (;;) {
      auto const words = generator_->RestOfBlock();
      if (Holds(words, word_)) {
        for (size_t i = 0; i < words.size(); ++i) {
          if (words[i] != word_) continue;
          Mt19937 after = *generator_;
          after.Skip(i + 1);
          found.push_back({seeds_[seed_at_], output_ + i, after});
        }
      }
      output_ += words.size();
      if (output_ >= outputs_max_) break;
      generator_->DropBlock();
      if (output_count <= words.size()) return true;
      output_count -= words.size();
    }
    generator_.reset();
    ++seed_at_;
  }
  return false;
}

SeedFilter DefaultGeneratorFilter(uint32_t sampler_seed) {
  std::vector<std::vector<OutputRemainder>> groups;
  groups.reserve(kFirstSeedOutputs.size());
  for (uint32_t const output : kFirstSeedOutputs)
    groups.push_back({{output, sampler_seed, uint64_t{1} << 32}});
  return SeedFilter(groups);
}

GeneratorPosition MakeGeneratorPosition(uint32_t seed, uint64_t output) {
  GeneratorPosition position{seed, output, Mt19937(seed)};
  position.after.Skip(output + 1);
  return position;
}

std::vector<GeneratorPosition> PositionsIn(uint32_t seed, uint32_t sampler_seed) {
  std::array<uint32_t, kFirstSeedOutputs.back() + 1> outputs;
  Mt19937::FirstOutputs(seed, outputs);
  std::vector<GeneratorPosition> positions;
  for (uint32_t const at : kFirstSeedOutputs) {
    if (outputs[at] == sampler_seed) positions.push_back(MakeGeneratorPosition(seed, at));
  }
  return positions;
}

DefaultGeneratorSearch::DefaultGeneratorSearch(uint32_t sampler_seed, SeedScanner& scanner,
                                               SeedSearch::Range seeds)
    : sampler_seed_(sampler_seed),
      scan_(sampler_seed, GeneratorScan::LikelySeeds(), GeneratorScan::kOutputsMax),
      search_(DefaultGeneratorFilter(sampler_seed), scanner, seeds) {}

bool DefaultGeneratorSearch::Step(std::vector<GeneratorPosition>& found) {
  constexpr uint64_t kOutputsAStep = 8'000'000;
  if (!scanned_) {
    scanned_ = !scan_.Step(kOutputsAStep, found);
    return true;
  }
  std::vector<uint32_t> passed;
  search_.Step(passed);
  for (uint32_t const seed : passed) {
    for (auto const& position : PositionsIn(seed, sampler_seed_)) {
      // The scan has been at the likely seeds.
      if (std::ranges::find(found, position) == found.end()) found.push_back(position);
    }
  }
  return !search_.Done();
}

std::vector<NextSeed> SeedsAfter(const GeneratorPosition& known, uint32_t outputs_max) {
  Mt19937 generator = known.after;
  std::vector<NextSeed> seeds;
  for (uint32_t gap = 1; gap <= outputs_max; ++gap) {
    uint32_t const output = generator.Next();
    if (gap % 2 == 0) seeds.push_back({output, gap});
  }
  return seeds;
}

}  // namespace stokefs::hints
