#include "cache/epoch_replacement.h"

#include <utility>

namespace stokefs::cache {
namespace {

// Asks the tier's filter about the slots of samples.
class SlotsOfSamples final : public SampleFilter {
 public:
  SlotsOfSamples(const SlotFilter& filter, const std::vector<SlotIndex>& slots)
      : filter_(filter), slots_(slots) {}
  bool MayGo(SampleIndex sample) const override { return filter_.MayGo(slots_[sample.value]); }

 private:
  const SlotFilter& filter_;
  const std::vector<SlotIndex>& slots_;
};

}  // namespace

// Of a slot whose key is known.
void EpochReplacement::Enter(SlotIndex slot) {
  Entry& entry = entries_[slot.value];
  auto const sample = steering_ ? steering_->map->Find(entry.key) : std::nullopt;
  if (sample) {
    entry.sample = sample->value;
    steering_->slot_of_sample[sample->value] = slot;
    steering_->policy.OnInsert(*sample);
  } else {
    entry.sample = kNoSample;
    strangers_.OnInsert(slot, entry.key, 0);
  }
}

void EpochReplacement::OnInsert(SlotIndex slot, BlockKey key, uint64_t size_bytes) {
  entries_.GrowTo(size_t{slot.value} + 1, {});
  recency_.OnInsert(slot, key, size_bytes);
  entries_[slot.value].key = key;
  Enter(slot);
}

void EpochReplacement::OnRead(SlotIndex slot, ReaderId reader) {
  recency_.OnRead(slot, reader);
  uint32_t const sample = entries_[slot.value].sample;
  if (sample == kNoSample) {
    strangers_.OnRead(slot, reader);
    return;
  }
  auto const known = steering_->jobs_of_thread.find(reader.thread_id);
  if (known == steering_->jobs_of_thread.end()) return;
  for (uint8_t job = 0; job < kJobCountMax; ++job)
    if ((known->second >> job & 1) != 0) steering_->policy.OnHit({sample}, {job});
}

void EpochReplacement::OnRemove(SlotIndex slot) {
  recency_.OnRemove(slot);
  uint32_t const sample = std::exchange(entries_[slot.value].sample, kNoBlock);
  sample == kNoSample ? strangers_.OnRemove(slot) : steering_->policy.OnRemove({sample});
}

std::optional<SlotIndex> EpochReplacement::ChooseVictim(const SlotFilter& filter) {
  if (!steering_ || !steering_->policy.HasJobs()) return recency_.ChooseVictim(filter);
  if (auto const stranger = strangers_.ChooseVictim(filter)) return stranger;
  auto const sample =
      steering_->policy.ChooseVictim(SlotsOfSamples(filter, steering_->slot_of_sample));
  if (!sample) return std::nullopt;
  return steering_->slot_of_sample[sample->value];
}

std::optional<SlotIndex> EpochReplacement::ChooseSpent(const SlotFilter& filter,
                                                       bool reader_waits) {
  if (!steering_ || !steering_->policy.HasJobs()) return std::nullopt;
  if (auto const stranger = strangers_.ChooseVictim(filter)) return stranger;
  if (!reader_waits && steering_->policy.SpentBytes() <= steering_->spared_bytes)
    return std::nullopt;
  auto const sample =
      steering_->policy.ChooseSpent(SlotsOfSamples(filter, steering_->slot_of_sample));
  if (!sample) return std::nullopt;
  return steering_->slot_of_sample[sample->value];
}

std::unique_ptr<EpochSteering> EpochReplacement::Install(std::unique_ptr<EpochSteering> steering) {
  std::unique_ptr<EpochSteering> before = std::exchange(steering_, std::move(steering));
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    SlotIndex const slot{i};
    if (entries_[i].sample == kNoBlock) continue;
    if (entries_[i].sample == kNoSample) strangers_.OnRemove(slot);
    Enter(slot);
  }
  return before;
}

}  // namespace stokefs::cache
