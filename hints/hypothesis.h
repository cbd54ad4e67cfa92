// One guess under test: an order and a world, followed read by read.
//
//   pending --evidence reaches kCertainLog10, kReadsMin reads of a reader--> certain
//   pending --nobody supports it any more--> refuted
//   certain --a supporting reader reads what it should not, or mostly others read--> refuted
//
// Each reader has a track: its rank and how far it is. A read fits when it lies further on in the
// reader's rank; what was jumped over belongs to other workers or was hidden by the page cache,
// and costs evidence. A reader whose reads do not fit before it supported the guess is foreign.
// Not thread-safe. Memory: 8 bytes a sample.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cache/ids.h"
#include "hints/candidate.h"
#include "hints/evidence.h"
#include "hints/worker_deal.h"

namespace stokefs::hints {

class Hypothesis {
 public:
  enum class State : uint8_t { kPending, kCertain, kRefuted };
  static constexpr size_t kReadersMax = 1024;

  Hypothesis(const Candidate& candidate, std::vector<uint32_t> entries);

  // The next read of a reader. `index` may be anything. Not after kRefuted.
  State Observe(cache::ReaderId reader, uint32_t index);

  State Now() const { return state_; }
  const Candidate& Guess() const { return candidate_; }
  double EvidenceLog10() const;
  const std::vector<uint32_t>& Entries() const { return entries_; }
  const std::string& WhyRefuted() const { return why_refuted_; }

  // Of readers that support the guess: the ranks, ascending, and the deal within one rank.
  std::vector<uint32_t> Ranks() const;
  WorkerDeal Deal(uint32_t rank) const;
  // Samples of the rank's sequence that its furthest reader has passed.
  uint64_t Reached(uint32_t rank) const;
  // The furthest reader has passed 9/10 of the order.
  bool NearEnd() const;
  bool Knows(cache::ReaderId reader) const { return tracks_.contains(reader.thread_id); }
  // It read what the guess does not say, before it supported it.
  bool IsForeign(cache::ReaderId reader) const;
  // It supports the guess, and has not passed 8/10 of the order.
  bool IsFarFromEnd(cache::ReaderId reader) const;
  uint64_t FittingCount() const { return fitting_count_; }

 private:
  struct Track {
    uint64_t place = 0;  // in the order, from sample_count on in the padding
    uint64_t read_count = 0;
    double gain_log10 = 0;
    bool foreign = false;
    ReaderProgress progress;
  };
  bool Supports(const Track& track) const {
    return !track.foreign && track.read_count >= kReadsMin && track.gain_log10 >= kSupportLog10;
  }
  void Begin(Track& track, uint64_t place);
  bool Advance(Track& track, uint64_t place);
  State OnMisfit(Track& track, cache::ReaderId reader, uint32_t index);
  State Refute(std::string why);
  State Judge();

  static constexpr double kSupportLog10 = 3;

  const Candidate candidate_;
  const std::vector<uint32_t> entries_;
  std::vector<uint32_t> places_;  // index -> place
  const uint64_t padded_count_;
  std::map<uint32_t, Track> tracks_;  // by thread id
  GapModel gaps_;
  uint64_t read_count_ = 0;  // of all readers, foreign ones too
  uint64_t fitting_count_ = 0;
  uint64_t foreign_count_ = 0;
  uint64_t furthest_ = 0;
  State state_ = State::kPending;
  std::string why_refuted_;
};

}  // namespace stokefs::hints
