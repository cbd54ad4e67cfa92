// Seeds that people write: 0 to 10,000 (seed + epoch), in every place from which a sampler draws.
//
// For each seed s: the permutation at output 0 of s, in any rank of any world (DistributedSampler,
// a generator of the sampler's own); at output 2 (DataLoader(generator=g)); and at output 0 of the
// seed that a default generator seeded with s gives the sampler, at the outputs where a loader that
// comes first finds it (default_generator.h). Also the seed of a torch.Generator() that nobody
// seeded, which is a constant.
#pragma once

#include <span>
#include <vector>

#include "hints/candidate.h"
#include "hints/opening_tester.h"

namespace stokefs::hints {

class SmallSeedSource final : public CandidateSource {
 public:
  static constexpr uint32_t kSeedMax = 10'000;
  // at::default_rng_seed_val, of which the low 32 bits count.
  static constexpr uint32_t kUnseeded = static_cast<uint32_t>(67280421310721u);
  // How far a reader's first read is looked for: in the first batch, or as far as the batches of
  // many workers reach, for when the first one was not seen.
  enum class Where : uint8_t { kFirstBatch, kAnyWorker };
  static constexpr uint32_t kAnyWorkerReach = 1u << 17;

  SmallSeedSource(uint32_t sample_count, std::span<const Opening> openings, Where where);

  std::string_view Name() const override;
  bool Step(std::vector<Candidate>& found) override;  // some seeds, about 5 ms

 private:
  void TestSeed(uint32_t seed, double share_log10, std::vector<Candidate>& found);
  // `first_output`: the first that the permutation draws.
  void TestOneRank(const ShuffleOrder& order, uint32_t first_output, double share_log10,
                   std::vector<Candidate>& found);
  void TestAt(const ShuffleOrder& order, Mt19937 generator, double share_log10,
              std::vector<Candidate>& found);

  const uint32_t sample_count_;
  const Where where_;
  const uint32_t seeds_a_step_;
  OpeningTester tester_;
  uint32_t next_ = 0;
  std::vector<uint32_t> worlds_;
};

}  // namespace stokefs::hints
