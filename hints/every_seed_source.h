// All 2^32 seeds: the unseeded DataLoader(shuffle=True), and generators with large seeds.
//
// Two passes. kOneRank: the first batch of a job of one rank, at output 0 or 2, read by any of the
// readers. kRanks: at output 0, the first reader's first read is the first entry of one of 64
// ranks; needs sample_count well above 64, else too much passes. What passes the SIMD filter is
// tested as opening_tester.h does. With AVX2 about 70 s of a core for kOneRank, three times that
// for kRanks, whose 64 outputs are all made and tested; a GPU: docs/RECOGNITION.md.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "hints/candidate.h"
#include "hints/opening_tester.h"
#include "hints/seed_search.h"

namespace stokefs::hints {

class EverySeedSource final : public CandidateSource {
 public:
  enum class Pass : uint8_t { kOneRank, kRanks };
  static constexpr uint32_t kReaderMax =
      16;  // by their first read: one of them has the first batch
  static constexpr uint32_t kRankMax = 64;
  // About 10 ms. A GPU's slice may let more pass than that: they wait for the next steps.
  static constexpr size_t kLooksAStep = 4'096;

  EverySeedSource(uint32_t sample_count, std::span<const Opening> openings, Pass pass,
                  SeedScanner& scanner, SeedSearch::Range seeds);

  std::string_view Name() const override;
  bool Step(std::vector<Candidate>& found) override;
  uint64_t TestedCount() const { return search_ ? search_->TestedCount() : 0; }

 private:
  void Look(uint32_t seed, std::vector<Candidate>& found);

  const uint32_t sample_count_;
  const Pass pass_;
  OpeningTester tester_;
  std::optional<SeedSearch> search_;  // none: nothing to look for
  std::vector<uint32_t> passed_;
  size_t looked_ = 0;  // at so many of passed_
  std::vector<uint32_t> worlds_;
};

}  // namespace stokefs::hints
