// LRU and FIFO: the longest unread goes first, or the longest in memory. What misses is kept. 8
// bytes a sample.
#pragma once

#include <optional>

#include "cache/sample_lists.h"
#include "cache/sample_policy.h"

namespace stokefs::cache::baseline {

class Fifo : public SamplePolicy {
 public:
  explicit Fifo(const DatasetShape& shape) : order_({.sample_count = shape.sample_count()}) {}

  After OnHit(SampleIndex, JobIndex) override { return After::kKeep; }
  After OnMiss(SampleIndex, JobIndex) override { return After::kKeep; }
  void OnInsert(SampleIndex sample) override { order_.PushBack(0, sample); }
  void OnRemove(SampleIndex sample) override { order_.Unlink(sample); }
  std::optional<SampleIndex> ChooseVictim(const SampleFilter& filter) override {
    for (SampleIndex s = order_.FrontOf(0); !order_.IsEnd(s); s = order_.After(s))
      if (filter.MayGo(s)) return s;
    return std::nullopt;
  }

 protected:
  void MakeNewest(SampleIndex sample) {
    order_.Unlink(sample);
    order_.PushBack(0, sample);
  }

 private:
  SampleLists order_;  // the next to go first
};

class Lru final : public Fifo {
 public:
  using Fifo::Fifo;
  After OnHit(SampleIndex sample, JobIndex) override {
    MakeNewest(sample);
    return After::kKeep;
  }
};

}  // namespace stokefs::cache::baseline
