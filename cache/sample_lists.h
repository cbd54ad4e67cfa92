// Doubly linked lists through one array by sample: each sample is in one list or in none. 8 bytes a
// sample; all calls O(1).
#pragma once

#include <cstdint>
#include <vector>

#include "cache/dataset_shape.h"

namespace stokefs::cache {

class SampleLists {
 public:
  struct Options {
    uint32_t sample_count = 0;
    uint32_t list_count = 1;
  };
  explicit SampleLists(Options options)
      : sample_count_(options.sample_count),
        links_(size_t{options.sample_count} + options.list_count) {
    for (uint32_t list = 0; list < options.list_count; ++list) Clear(list);
  }

  // Forgets the list's samples; they are in none then, but for what Unlink would do.
  void Clear(uint32_t list) { links_[HeadOf(list)] = {HeadOf(list), HeadOf(list)}; }
  void PushBack(uint32_t list, SampleIndex sample) {
    uint32_t const head = HeadOf(list);
    uint32_t const last = links_[head].before;
    links_[sample.value] = {last, head};
    links_[last].after = sample.value;
    links_[head].before = sample.value;
  }
  void Unlink(SampleIndex sample) {
    Link const link = links_[sample.value];
    links_[link.before].after = link.after;
    links_[link.after].before = link.before;
  }

  bool IsEmpty(uint32_t list) const { return IsEnd(FrontOf(list)); }
  // Front is the oldest. A walk ends where IsEnd says so.
  SampleIndex FrontOf(uint32_t list) const { return {links_[HeadOf(list)].after}; }
  SampleIndex After(SampleIndex sample) const { return {links_[sample.value].after}; }
  bool IsEnd(SampleIndex sample) const { return sample.value >= sample_count_; }

 private:
  struct Link {
    uint32_t before = 0, after = 0;
  };

  uint32_t HeadOf(uint32_t list) const { return sample_count_ + list; }

  const uint32_t sample_count_;
  std::vector<Link> links_;  // samples, then one head a list
};

}  // namespace stokefs::cache
