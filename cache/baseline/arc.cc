#include "cache/baseline/arc.h"

#include <algorithm>

namespace stokefs::cache::baseline {

Arc::Arc(const DatasetShape& shape, Options options)
    : capacity_(options.capacity_samples),
      list_of_(shape.sample_count(), kNowhere),
      lists_({.sample_count = shape.sample_count(), .list_count = 4}) {}

void Arc::Put(SampleIndex sample, List list) {
  lists_.PushBack(list, sample);
  list_of_[sample.value] = list;
  ++counts_[list];
}

void Arc::TakeOut(SampleIndex sample) {
  lists_.Unlink(sample);
  --counts_[list_of_[sample.value]];
  list_of_[sample.value] = kNowhere;
}

SamplePolicy::After Arc::OnHit(SampleIndex sample, JobIndex) {
  TakeOut(sample);
  Put(sample, kOften);
  return After::kKeep;
}

SamplePolicy::After Arc::OnMiss(SampleIndex sample, JobIndex) {
  List const was = list_of_[sample.value];
  missed_often_gone_ = was == kOftenGone;
  forget_victim_ = false;
  if (was == kOnceGone) {
    uint64_t const step = std::max<uint64_t>(Count(kOftenGone) / Count(kOnceGone), 1);
    once_target_ = std::min(capacity_, once_target_ + step);
  } else if (was == kOftenGone) {
    uint64_t const step = std::max<uint64_t>(Count(kOnceGone) / Count(kOftenGone), 1);
    once_target_ -= std::min(once_target_, step);
  } else if (Count(kOnce) + Count(kOnceGone) == capacity_) {
    if (Count(kOnce) < capacity_)
      TakeOut(lists_.FrontOf(kOnceGone));
    else
      forget_victim_ = true;
  } else if (counts_[0] + counts_[1] + counts_[2] + counts_[3] == 2 * capacity_) {
    TakeOut(lists_.FrontOf(kOftenGone));
  }
  return After::kKeep;
}

void Arc::OnInsert(SampleIndex sample) {
  bool const was_gone = list_of_[sample.value] != kNowhere;
  if (was_gone) TakeOut(sample);
  Put(sample, was_gone ? kOften : kOnce);
}

void Arc::OnRemove(SampleIndex sample) {
  List const was = list_of_[sample.value];
  TakeOut(sample);
  if (!forget_victim_) Put(sample, was == kOnce ? kOnceGone : kOftenGone);
  forget_victim_ = false;
}

std::optional<SampleIndex> Arc::ChooseVictim(const SampleFilter& filter) {
  uint64_t const once = Count(kOnce);
  bool const from_once = forget_victim_ || once > once_target_ ||
                         (missed_often_gone_ && once > 0 && once == once_target_);
  for (List const list : {from_once ? kOnce : kOften, from_once ? kOften : kOnce})
    for (SampleIndex s = lists_.FrontOf(list); !lists_.IsEnd(s); s = lists_.After(s))
      if (filter.MayGo(s)) return s;
  return std::nullopt;
}

}  // namespace stokefs::cache::baseline
