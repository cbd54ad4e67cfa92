#include "hints/hypothesis.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"

namespace stokefs::hints {
namespace {

// Reads of foreign readers that a certain guess bears, and how many more than fitting ones.
constexpr uint64_t kForeignReadsBorne = 64;
constexpr uint64_t kForeignPerFitting = 2;

uint64_t PaddedCount(uint64_t sample_count, uint64_t world) {
  return (sample_count + world - 1) / world * world;
}

}  // namespace

Hypothesis::Hypothesis(const Candidate& candidate, std::vector<uint32_t> entries)
    : candidate_(candidate),
      entries_(std::move(entries)),
      places_(entries_.size()),
      padded_count_(PaddedCount(entries_.size(), candidate.world)) {
  STOKEFS_CHECK(candidate.world > 0 && candidate.order.sample_count == entries_.size());
  for (uint32_t place = 0; place < entries_.size(); ++place) places_[entries_[place]] = place;
}

void Hypothesis::Begin(Track& track, uint64_t place) {
  track.place = place;
  track.read_count = 1;
  track.gain_log10 = StartGainLog10(candidate_.order.sample_count, candidate_.world, place);
  track.progress = {.first = place / candidate_.world, .run_count = 1};
}

bool Hypothesis::Advance(Track& track, uint64_t place) {
  // The padding repeats the order's first entries at its end.
  if (place <= track.place && place + entries_.size() < padded_count_) place += entries_.size();
  if (place <= track.place || (place - track.place) % candidate_.world != 0) return false;
  uint64_t const gap = (place - track.place) / candidate_.world;
  uint64_t const read_before = std::min<uint64_t>(read_count_ - 1, entries_.size());
  track.gain_log10 += StepGainLog10(gaps_.Log10(gap), entries_.size() - read_before);
  gaps_.Learn(gap);
  track.place = place;
  ++track.read_count;
  auto& progress = track.progress;
  if (progress.jump == 0) gap == 1 ? ++progress.run_count : progress.jump = gap;
  return true;
}

Hypothesis::State Hypothesis::Refute(std::string why) {
  why_refuted_ = std::move(why);
  return state_ = State::kRefuted;
}

Hypothesis::State Hypothesis::OnMisfit(Track& track, cache::ReaderId reader, uint32_t index) {
  if (Supports(track)) {
    return Refute("reader " + std::to_string(reader.thread_id) + " read sample " +
                  std::to_string(index) + " after " + std::to_string(track.read_count) +
                  " reads that fitted");
  }
  track.foreign = true;
  ++foreign_count_;
  return Judge();
}

Hypothesis::State Hypothesis::Judge() {
  if (state_ == State::kCertain) {
    if (foreign_count_ > kForeignReadsBorne && foreign_count_ > kForeignPerFitting * fitting_count_)
      return Refute("most reads are of readers that do not follow it");
    return state_;
  }
  bool supported = false, enough_reads = false;
  for (auto const& [reader, track] : tracks_) {
    if (track.foreign) continue;
    supported = supported || track.read_count < kReadsMin || track.gain_log10 > 0;
    enough_reads = enough_reads || track.read_count >= kReadsMin;
  }
  if (!supported) return Refute("no reader follows it");
  if (enough_reads && EvidenceLog10() >= kCertainLog10) state_ = State::kCertain;
  return state_;
}

Hypothesis::State Hypothesis::Observe(cache::ReaderId reader, uint32_t index) {
  STOKEFS_CHECK(state_ != State::kRefuted);
  ++read_count_;
  auto at = tracks_.find(reader.thread_id);
  if (index >= entries_.size() || (at == tracks_.end() && tracks_.size() >= kReadersMax)) {
    ++foreign_count_;
    return Judge();
  }
  uint64_t const place = places_[index];
  if (at == tracks_.end()) {
    at = tracks_.emplace(reader.thread_id, Track{}).first;
    Begin(at->second, place);
  } else if (at->second.foreign) {
    ++foreign_count_;
    return Judge();
  } else if (place == at->second.place % entries_.size()) {
    return state_;  // the same sample again
  } else if (!Advance(at->second, place)) {
    return OnMisfit(at->second, reader, index);
  }
  ++fitting_count_;
  furthest_ = std::max(furthest_, at->second.place);
  return Judge();
}

double Hypothesis::EvidenceLog10() const {
  double evidence = candidate_.share_log10;
  for (auto const& [reader, track] : tracks_)
    evidence += MaybeForeignLog10(track.foreign ? -300 : track.gain_log10);
  return evidence;
}

std::vector<uint32_t> Hypothesis::Ranks() const {
  std::set<uint32_t> ranks;
  for (auto const& [reader, track] : tracks_) {
    if (Supports(track)) ranks.insert(static_cast<uint32_t>(track.place % candidate_.world));
  }
  return {ranks.begin(), ranks.end()};
}

WorkerDeal Hypothesis::Deal(uint32_t rank) const {
  std::vector<ReaderProgress> readers;
  for (auto const& [reader, track] : tracks_) {
    if (Supports(track) && track.place % candidate_.world == rank)
      readers.push_back(track.progress);
  }
  return InferDeal(readers);
}

uint64_t Hypothesis::Reached(uint32_t rank) const {
  uint64_t reached = 0;
  for (auto const& [reader, track] : tracks_) {
    if (Supports(track) && track.place % candidate_.world == rank)
      reached = std::max(reached, track.place / candidate_.world + 1);
  }
  return reached;
}

bool Hypothesis::IsForeign(cache::ReaderId reader) const {
  auto const at = tracks_.find(reader.thread_id);
  return at != tracks_.end() && at->second.foreign;
}

bool Hypothesis::IsFarFromEnd(cache::ReaderId reader) const {
  auto const at = tracks_.find(reader.thread_id);
  return at != tracks_.end() && Supports(at->second) && at->second.place < entries_.size() / 10 * 8;
}

bool Hypothesis::NearEnd() const { return furthest_ >= entries_.size() / 10 * 9; }

}  // namespace stokefs::hints
