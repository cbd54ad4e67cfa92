// Does a generator's order begin as the readers do? The quick test in front of everything else.
//
// For one seed: where do the first four reads of a reader land in the permutation (randperm.h)? In
// a rank's batch they stand `world` entries apart. No world, rank or worker is given: the greatest
// common divisor of the distances is the world. Costs about 2.5 µs a seed with the default reach,
// because nothing but the first output's values is computed until a first read is found.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hints/candidate.h"
#include "hints/randperm.h"

namespace stokefs::hints {

// The world and the score (log10 of the gain, world's share included) of reads that stand at these
// entries of an order; none when they do not ascend.
struct RunScore {
  uint32_t world = 1;
  double gain_log10 = 0;
};
std::optional<RunScore> ScoreRun(uint32_t sample_count, std::span<const uint32_t> places);

// Not thread-safe. Openings with an index out of range are left out.
class OpeningTester {
 public:
  struct Reach {
    uint32_t first_read = kDefaultFirstRead;    // entries in which a reader's first read may stand
    uint32_t later_reads = kDefaultLaterReads;  // how far behind it the other three may
  };
  static constexpr uint32_t kDefaultFirstRead = 1024;       // ranks' first entries: worlds to 1,024
  static constexpr uint32_t kDefaultLaterReads = 3 * 1024;  // three steps of such a world
  // A tenth of a guess in a hundred survives by chance; a true one has at least 3 with n = 32.
  static constexpr double kGainMinLog10 = 2;

  OpeningTester(uint32_t sample_count, std::span<const Opening> openings, Reach reach);

  // The worlds under which a reader fits the permutation drawn from `generator`, each once.
  void Test(Mt19937& generator, std::vector<uint32_t>& worlds);
  // Can a reader's first read be entry 0, if the generator's next output is this?
  bool MayBegin(uint32_t output) const;

  bool Empty() const { return readers_.empty(); }

 private:
  struct Reader {
    std::vector<uint32_t> indices;
  };
  void DrawUntil(Mt19937& generator, uint32_t count);
  // As Landing, but the last entry of all takes what is left.
  std::optional<uint32_t> Find(uint32_t value) const;

  const uint32_t sample_count_;
  const Reach reach_;
  const DrawTable table_;
  std::vector<Reader> readers_;
  std::vector<uint32_t> targets_;
};

}  // namespace stokefs::hints
