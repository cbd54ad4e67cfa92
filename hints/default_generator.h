// Finding the generator from which an unseeded loader's sampler got its seed.
//
// DataLoader(shuffle=True) takes 64 bits of the process's default generator as the workers' base
// seed (2 outputs) and 64 as the sampler's seed, whose low half, the second output, is what the
// permutation shows. So epoch after epoch the sampler's seeds stand at outputs 3, 7, 11, ... of a
// generator from which nothing else is drawn; 3, 9, 15 with an unshuffled validation loader (its
// base seed); 3, 5, 7 with persistent workers (one base seed). Models draw millions of outputs
// before that when they are initialised.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hints/mt19937.h"
#include "hints/seed_search.h"

namespace stokefs::hints {

// Where the first sampler seed stands if nothing but loaders drew: 3 (5, 7: loaders of other data
// went first), or 1, a RandomSampler outside a DataLoader.
inline constexpr std::array<uint32_t, 4> kFirstSeedOutputs = {1, 3, 5, 7};

// One output of one seed of the default generator that equals a sampler's seed.
struct GeneratorPosition {
  uint32_t seed = 0;
  uint64_t output = 0;
  Mt19937 after;  // the generator, with this output drawn: it may be millions of outputs on

  bool operator==(const GeneratorPosition& other) const {
    return seed == other.seed && output == other.output;
  }
};
GeneratorPosition MakeGeneratorPosition(uint32_t seed, uint64_t output);

// Looks for `sampler_seed` among the outputs of a list of likely seeds, resumably. Not thread-safe.
class GeneratorScan {
 public:
  // A resnet18's initialisation draws 23 million outputs.
  static constexpr uint64_t kOutputsMax = 40'000'000;
  static std::vector<uint32_t> LikelySeeds();  // 0 to 63 and those that people like

  GeneratorScan(uint32_t sampler_seed, std::vector<uint32_t> seeds, uint64_t outputs_max);

  // About `output_count` more outputs. Appends the positions found; several may match by chance
  // (one in 2^32 outputs). False when all are scanned.
  bool Step(uint64_t output_count, std::vector<GeneratorPosition>& found);

 private:
  const uint32_t word_;  // the state word behind the sampler's seed
  const std::vector<uint32_t> seeds_;
  const uint64_t outputs_max_;
  size_t seed_at_ = 0;
  uint64_t output_ = 0;
  std::optional<Mt19937> generator_;
};

// The default generator's own 2^32 seeds, for which output 1, 3, 5 or 7 is the sampler's seed: one
// or two pass by chance at each.
SeedFilter DefaultGeneratorFilter(uint32_t sampler_seed);
std::vector<GeneratorPosition> PositionsIn(uint32_t seed, uint32_t sampler_seed);

// Both searches for one sampler seed, the scan first. Not thread-safe.
class DefaultGeneratorSearch {
 public:
  DefaultGeneratorSearch(uint32_t sampler_seed, SeedScanner& scanner, SeedSearch::Range seeds);
  // About 10 ms. Appends what is found; false when nothing is left to look at.
  bool Step(std::vector<GeneratorPosition>& found);

 private:
  const uint32_t sampler_seed_;
  GeneratorScan scan_;
  SeedSearch search_;
  bool scanned_ = false;
};

// Sampler seeds that can follow the one at `known`, nearest first: every second output up to
// `outputs_max` further.
struct NextSeed {
  uint32_t seed = 0;
  uint32_t gap = 0;  // from the output at `known` to this one
};
std::vector<NextSeed> SeedsAfter(const GeneratorPosition& known, uint32_t outputs_max);

}  // namespace stokefs::hints
