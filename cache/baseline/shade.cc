#include "cache/baseline/shade.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace stokefs::cache::baseline {

Shade::Shade(const DatasetShape& shape, Options options)
    : capacity_samples_(options.capacity_samples),
      batch_samples_(options.batch_samples),
      ranks_(shape.sample_count()),
      cached_(shape.sample_count()),
      lists_({.sample_count = shape.sample_count(), .list_count = options.batch_samples + 1}) {
  STOKEFS_CHECK(batch_samples_ < 65'535);
}

void Shade::OnBatch(std::span<const SampleIndex> by_loss) {
  STOKEFS_CHECK(by_loss.size() <= batch_samples_);
  for (size_t j = 0; j < by_loss.size(); ++j) {
    SampleIndex const sample = by_loss[j];
    if (cached_[sample.value]) lists_.Unlink(sample);
    ranks_[sample.value] = static_cast<uint16_t>(j + 1);
    if (cached_[sample.value]) lists_.PushBack(ranks_[sample.value], sample);
  }
}

double Shade::WeightOf(SampleIndex sample) const {
  uint16_t const rank = ranks_[sample.value];
  return rank == 0 ? 1.0 : std::log(rank - 1 + 10.0);
}

SamplePolicy::After Shade::OnMiss(SampleIndex sample, JobIndex) {
  if (cached_count_ < capacity_samples_) return After::kKeep;
  for (uint32_t rank = 0; rank < ranks_[sample.value]; ++rank)
    if (!lists_.IsEmpty(rank)) return After::kKeep;
  return After::kDrop;
}

void Shade::OnInsert(SampleIndex sample) {
  cached_[sample.value] = true;
  lists_.PushBack(ranks_[sample.value], sample);
  ++cached_count_;
}

void Shade::OnRemove(SampleIndex sample) {
  cached_[sample.value] = false;
  lists_.Unlink(sample);
  --cached_count_;
}

std::optional<SampleIndex> Shade::ChooseVictim(const SampleFilter& filter) {
  for (uint32_t rank = 0; rank <= batch_samples_; ++rank)
    for (SampleIndex s = lists_.FrontOf(rank); !lists_.IsEnd(s); s = lists_.After(s))
      if (filter.MayGo(s)) return s;
  return std::nullopt;
}

}  // namespace stokefs::cache::baseline
