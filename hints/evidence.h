// How sure a guess is: the arithmetic behind "the chance of a false match is under 1e-9".
//
// A guess (order, world) is a bet made before the reads are looked at: it holds a share of the
// prior (all shares sum to less than 1), and before each read it says how likely each next index
// is. If the reads are in truth a random order of the samples that it knows nothing of, the
// likelihood ratio of the two is a martingale that starts at the share's inverse, so the chance
// that any guess at any time reaches 10^9 is at most 1e-9 (Ville's inequality), however many are
// tried and however often one looks. All here is log10 of such ratios. The arithmetic in full:
// docs/RECOGNITION.md.
#pragma once

#include <cstdint>
#include <map>

namespace stokefs::hints {

inline constexpr double kCertainLog10 = 9;
inline constexpr uint32_t kReadsMin = 4;  // of one reader, whatever the arithmetic says
inline constexpr uint32_t kSampleCountMin = 32;
inline constexpr uint32_t kWorldMax = 1024;

// What a guess pays for its world: 1 / (world * (world + 1)), which sums to 1.
double WorldShareLog10(uint32_t world);

// How far a reader moves on in its rank's sequence with one read: mostly by 1; at a batch's end
// over the other workers' batches, always by the same; where the page cache hid reads, by anything.
// The shares of gap 1 (0.9) and g (0.1 / (g (g-1))) are mixed with what was seen before.
class GapModel {
 public:
  // log10 of the probability of `gap` (at least 1), by what was learnt until now.
  double Log10(uint64_t gap) const;
  void Learn(uint64_t gap);

 private:
  std::map<uint64_t, uint32_t> seen_;  // at most kGapsMax of them
  uint32_t seen_count_ = 0;
};

// The gain of a reader's first read at entry `place` of the order: half a share lies evenly on the
// first batch's first entries (0 .. world-1), half evenly on all.
double StartGainLog10(uint32_t sample_count, uint32_t world, uint64_t place);

// The gain of a further read, which the guess gave probability 10^gap_log10, while `unread_count`
// samples were left to a random order.
double StepGainLog10(double gap_log10, uint64_t unread_count);

// log10(0.5 * 10^x + 0.5): a reader may also be no part of the job, whatever it read.
double MaybeForeignLog10(double x);

}  // namespace stokefs::hints
