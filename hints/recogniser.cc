#include "hints/recogniser.h"

#include <algorithm>
#include <utility>

#include "hints/every_seed_source.h"
#include "hints/order_plan.h"
#include "hints/randperm.h"
#include "hints/sequential_source.h"
#include "hints/small_seed_source.h"

namespace stokefs::hints {
namespace {

constexpr uint64_t kEpochsBack = 1000;  // an order known longer ago than this tells nothing

}  // namespace

Recogniser::Recogniser(Options options)
    : sample_count_(options.sample_count),
      effort_(options.effort),
      scanner_(SeedKernels().front(), options.accelerator),
      seeds_(options.seeds) {}

Recogniser::~Recogniser() = default;

bool Recogniser::Impossible() const {
  return sample_count_ < kSampleCountMin || sample_count_ >= kRandpermCountMax;
}

// --- reads ---

void Recogniser::OnRead(cache::ReaderId reader, uint32_t index) {
  if (Impossible() || index >= sample_count_) {
    ++ignored_count_;
    return;
  }
  // A reader not seen before, near the end: a worker of the next epoch, as soon as it reads what
  // this one does not say, or is at the same order's beginning. (It may also be one that the page
  // cache hid until now.)
  if (current_ && current_->NearEnd() && !current_->Knows(reader) &&
      late_readers_.size() < EpochReads::kReadersMax)
    late_readers_.insert(reader.thread_id);
  bool const late = late_readers_.contains(reader.thread_id) && late_reads_.size() < sample_count_;
  if (late) late_reads_.push_back({reader, index});
  if (!reads_.Add(reader, index)) return;
  Feed(reader, index);
  if (late && current_ && (current_->IsForeign(reader) || current_->IsFarFromEnd(reader))) {
    auto const late_reads = std::move(late_reads_);
    StartEpoch();
    for (auto const& read : late_reads) {
      if (reads_.Add(read.reader, read.index)) Feed(read.reader, read.index);
    }
  }
}

void Recogniser::Feed(cache::ReaderId reader, uint32_t index) {
  if (current_) {
    bool const near_end = current_->NearEnd();
    if (current_->Observe(reader, index) != Hypothesis::State::kRefuted) return;
    // Near its end it was right, and workers that live on begin the next epoch. Before, it is
    // dropped; but an epoch may also have been left early, so what follows from it is tried first.
    if (!near_end) why_dropped_ = current_->WhyRefuted();
    StartEpoch();
    reads_.Add(reader, index);
  }
  for (size_t i = 0; i < pending_.size();) {
    auto const state = pending_[i]->Observe(reader, index);
    if (state == Hypothesis::State::kCertain) {
      Accept(std::move(pending_[i]), epoch_);
      return;
    }
    if (state != Hypothesis::State::kRefuted) {
      ++i;
      continue;
    }
    if (pending_[i].get() == predicted_) {
      predicted_ = nullptr;
      why_dropped_ = "the next epoch is not as predicted: " + pending_[i]->WhyRefuted();
    }
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

// --- epochs ---

void Recogniser::BeginEpoch() {
  if (reads_.ReadCount() > 0) StartEpoch();
}

void Recogniser::StartEpoch() {
  ++epoch_;
  reads_ = EpochReads();
  current_.reset();
  pending_.clear();
  predicted_ = nullptr;
  recognised_after_ = 0;
  succession_.reset();
  cheap_.reset();
  cheap_looked_.clear();
  cheap_searches_left_ = kCheapSearchesMax;
  late_readers_.clear();
  late_reads_.clear();
  full_done_ = false;
  if (known_) Predict();
}

std::vector<Successor> Recogniser::SuccessorsIn(uint64_t epoch) const {
  std::span<const GeneratorPosition> positions;
  if (positions_epoch_ == known_->epoch) positions = positions_;
  auto const epochs = static_cast<uint32_t>(std::min<uint64_t>(epoch - known_->epoch, kEpochsBack));
  return Successors(known_->guess, epochs, positions, known_->rule);
}

// The likeliest successor is taken for the truth until it is refuted; the others are looked at when
// there are reads.
void Recogniser::Predict() {
  auto successors = SuccessorsIn(epoch_);
  if (known_->rule && !successors.empty() && reads_.ReadCount() == 0) {
    auto const& likeliest = successors.front().candidate;
    pending_.push_back(std::make_unique<Hypothesis>(likeliest, Expand(likeliest.order, cursor_)));
    predicted_ = pending_.back().get();
  }
  succession_.emplace(Search{.epoch = epoch_});
  succession_->sources.push_back(std::make_unique<SuccessorSource>(std::move(successors)));
}

// --- searching ---

bool Recogniser::Work() {
  if (Impossible()) return false;
  ++slice_count_;
  if (current_) {
    succession_.reset();
    cheap_.reset();
    full_.reset();
  }
  bool const usable = !current_ && reads_.UsableCount() > 0;
  // A prediction that stands is not second-guessed before it had the reads to be refuted.
  bool const wait = predicted_ != nullptr && reads_.ReadCount() < kReadsBeforeFull;
  if (usable && !wait) {
    if (succession_) {
      succession_->openings.assign(reads_.Openings().begin(), reads_.Openings().end());
      if (!StepSearch(*succession_)) succession_.reset();
      return true;
    }
    if (cheap_ || StartCheapSearch()) {
      if (!StepSearch(*cheap_)) cheap_.reset();
      return true;
    }
  }
  if (effort_ != RecogniseEffort::kFull) return false;
  bool const another = usable && !wait && pending_.empty();
  if (full_ || (another && StartFullSearch())) {
    if (!StepSearch(*full_)) full_.reset();
    return true;
  }
  if (default_search_) {
    if (!default_search_->Step(positions_)) default_search_.reset();
    return true;
  }
  return false;
}

bool Recogniser::StartCheapSearch() {
  if (reads_.UsableCount() <= cheap_looked_.size() || cheap_searches_left_ == 0) return false;
  --cheap_searches_left_;
  // Only readers that were not looked at before; the others are known not to fit.
  std::vector<Opening> fresh;
  for (auto const& opening : reads_.Openings()) {
    if (opening.indices.size() >= kReadsMin &&
        cheap_looked_.insert(opening.reader.thread_id).second)
      fresh.push_back(opening);
  }
  cheap_.emplace(Search{.epoch = epoch_});
  cheap_->sources.push_back(std::make_unique<SequentialSource>(sample_count_, fresh));
  cheap_->sources.push_back(
      std::make_unique<SmallSeedSource>(sample_count_, fresh, SmallSeedSource::Where::kFirstBatch));
  return true;
}

bool Recogniser::StartFullSearch() {
  if (full_done_ || reads_.ReadCount() < kReadsBeforeFull) return false;
  full_done_ = true;
  full_.emplace(Search{.epoch = epoch_});
  full_->openings.assign(reads_.Openings().begin(), reads_.Openings().end());
  auto const add = [&](auto source) { full_->sources.push_back(std::move(source)); };
  add(std::make_unique<EverySeedSource>(sample_count_, full_->openings,
                                        EverySeedSource::Pass::kOneRank, scanner_, seeds_));
  add(std::make_unique<SmallSeedSource>(sample_count_, full_->openings,
                                        SmallSeedSource::Where::kAnyWorker));
  add(std::make_unique<EverySeedSource>(sample_count_, full_->openings,
                                        EverySeedSource::Pass::kRanks, scanner_, seeds_));
  return true;
}

// One step of a search; false when it has ended. Accepting may end it: nothing of it is touched
// afterwards.
bool Recogniser::StepSearch(Search& search) {
  std::vector<Candidate> found;
  if (!search.sources[search.at]->Step(found)) ++search.at;
  bool const more = search.at < search.sources.size();
  uint64_t const known_before = known_ ? known_->epoch + 1 : 0;
  for (auto const& candidate : found) {
    Consider(candidate, search);
    uint64_t const known_now = known_ ? known_->epoch + 1 : 0;
    if (known_now != known_before) return false;
  }
  return more;
}

void Recogniser::Consider(const Candidate& candidate, const Search& search) {
  for (auto const& hypothesis : pending_) {
    if (hypothesis->Guess() == candidate) return;
  }
  bool const present = search.epoch == epoch_;
  if (present && current_) return;
  auto hypothesis = std::make_unique<Hypothesis>(candidate, Expand(candidate.order, cursor_));
  auto const refuted = [&] { return hypothesis->Now() == Hypothesis::State::kRefuted; };
  auto const openings = present ? reads_.Openings() : std::span<const Opening>(search.openings);
  // Side by side, as the reads came: a reader alone would be judged on too little.
  for (size_t i = 0; i < EpochReads::kOpeningMax; ++i) {
    for (auto const& opening : openings) {
      if (i >= opening.indices.size()) continue;
      hypothesis->Observe(opening.reader, opening.indices[i]);
      if (refuted()) return;
    }
  }
  for (size_t reader = 0; present && reader < openings.size(); ++reader) {
    hypothesis->Observe(openings[reader].reader, reads_.LastOf(reader));
    if (refuted()) return;
  }
  if (hypothesis->Now() == Hypothesis::State::kCertain) {
    Accept(std::move(hypothesis), search.epoch);
  } else if (present) {
    if (pending_.size() >= kPendingMax) {
      auto const worst = std::ranges::min_element(pending_, {}, [&](auto& other) {
        return other.get() == predicted_ ? 1e9 : other->EvidenceLog10();
      });
      if ((*worst)->EvidenceLog10() > hypothesis->EvidenceLog10()) return;
      pending_.erase(worst);
    }
    pending_.push_back(std::move(hypothesis));
  }
}

void Recogniser::Accept(std::unique_ptr<Hypothesis> hypothesis, uint64_t epoch) {
  auto const guess = hypothesis->Guess();
  LearnRule(guess, epoch);
  known_->ranks = hypothesis->Ranks();
  if (!known_->ranks.empty()) known_->deal = hypothesis->Deal(known_->ranks.front());
  if (epoch == epoch_) {
    current_ = std::move(hypothesis);
    recognised_after_ = reads_.ReadCount();
    pending_.clear();
    predicted_ = nullptr;
  } else {
    // Found too late for its own epoch: what follows from it is tried on the present one.
    succession_.reset();
    predicted_ = nullptr;
    pending_.clear();
    Predict();
  }
}

namespace {

GeneratorPosition MoveOn(GeneratorPosition position, uint64_t gap) {
  position.output += gap;
  position.after.Skip(gap);
  return position;
}

}  // namespace

// How this order follows from the last known one, and where its seed came from.
void Recogniser::LearnRule(const Candidate& guess, uint64_t epoch) {
  std::optional<SuccessionRule> rule;
  if (known_ && epoch > known_->epoch) {
    auto const epochs = static_cast<uint32_t>(epoch - known_->epoch);
    bool const placed = positions_epoch_ == known_->epoch;
    std::vector<GeneratorPosition> advanced;
    for (auto const& position : placed ? positions_ : std::vector<GeneratorPosition>()) {
      for (auto const& next : SeedsAfter(position, kDefaultGapMax * epochs)) {
        if (next.seed != guess.order.seed || guess.order.kind != OrderKind::kDefault) continue;
        advanced.push_back(MoveOn(position, next.gap));
        if (next.gap % epochs == 0)
          rule = {.kind = SuccessionRule::Kind::kDefault, .gap = next.gap / epochs};
      }
    }
    if (!default_search_ || !advanced.empty()) positions_ = std::move(advanced);
    if (!positions_.empty()) {
      positions_epoch_ = epoch;
      default_search_.reset();
    }
    if (!rule) {
      for (auto const& successor : Successors(known_->guess, epochs, {}, std::nullopt)) {
        if (!rule && successor.candidate.order == guess.order) rule = successor.rule;
      }
    }
  }
  if (guess.order.kind != OrderKind::kDefault) default_search_.reset();
  cursor_.Seek(guess.order.seed, guess.order.first_output);
  known_ = Known{.guess = guess, .epoch = epoch, .rule = rule};
  if (guess.order.kind == OrderKind::kDefault && !rule && !default_search_ && positions_.empty())
    SearchDefaultGenerator(guess.order.seed);
}

void Recogniser::SearchDefaultGenerator(uint32_t sampler_seed) {
  if (effort_ != RecogniseEffort::kFull || default_searches_left_ == 0) return;
  --default_searches_left_;
  default_search_.emplace(sampler_seed, scanner_, seeds_);
  positions_.clear();
  positions_epoch_ = known_->epoch;
}

// --- what is known ---

Recogniser::State Recogniser::Now() const {
  if (current_) return State::kRecognised;
  return predicted_ != nullptr ? State::kPredicted : State::kWatching;
}

std::optional<Finding> Recogniser::Found() const {
  auto const* const hypothesis = current_ ? current_.get() : predicted_;
  if (hypothesis == nullptr) return std::nullopt;
  Finding finding{.order = hypothesis->Guess().order,
                  .world = hypothesis->Guess().world,
                  .ranks = hypothesis->Ranks(),
                  .read_count = recognised_after_,
                  .evidence_log10 = hypothesis->EvidenceLog10()};
  if (finding.ranks.empty() && known_) finding.ranks = known_->ranks;
  if (!finding.ranks.empty()) finding.deal = hypothesis->Deal(finding.ranks.front());
  if (finding.deal == WorkerDeal{} && known_) finding.deal = known_->deal;
  return finding;
}

std::unique_ptr<cache::Plan> Recogniser::MakePlan(uint32_t rank,
                                                  std::span<const cache::NodeId> nodes) const {
  auto const* const hypothesis = current_ ? current_.get() : predicted_;
  if (hypothesis == nullptr || rank >= hypothesis->Guess().world) return nullptr;
  RankSplit const split{.world = hypothesis->Guess().world, .rank = rank};
  return std::make_unique<OrderPlan>(hypothesis->Entries(), split, nodes);
}

std::unique_ptr<cache::Plan> Recogniser::MakeNextPlan(uint32_t rank,
                                                      std::span<const cache::NodeId> nodes) const {
  if (!current_ || !known_ || !known_->rule || rank >= known_->guess.world) return nullptr;
  auto const next = SuccessorsIn(known_->epoch + 1).front().candidate;
  return std::make_unique<OrderPlan>(Expand(next.order, cursor_),
                                     RankSplit{.world = next.world, .rank = rank}, nodes);
}

}  // namespace stokefs::hints
