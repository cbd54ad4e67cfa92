// A memory of so many bytes that does what a sample policy says, and fails the test when the policy
// names what is not there.
#pragma once

#include <gtest/gtest.h>

#include <set>

#include "cache/sample_policy.h"

namespace stokefs::testing {

class HoldBackSamples final : public cache::SampleFilter {
 public:
  explicit HoldBackSamples(std::set<uint32_t> held = {}) : held_(std::move(held)) {}
  bool MayGo(cache::SampleIndex sample) const override { return !held_.contains(sample.value); }

 private:
  const std::set<uint32_t> held_;
};

class PolicyMemory {
 public:
  PolicyMemory(const cache::DatasetShape& shape, uint64_t capacity_bytes,
               cache::SamplePolicy& policy)
      : shape_(shape), capacity_bytes_(capacity_bytes), policy_(policy) {}

  // Reads `sample` and then does all that is wished. True: a hit.
  bool Read(uint32_t sample, uint8_t job = 0) {
    bool const hit = ReadOnly(sample, job);
    FulfilWishes();
    return hit;
  }
  bool ReadOnly(uint32_t sample, uint8_t job = 0) {
    using After = cache::SamplePolicy::After;
    if (held_.contains(sample)) {
      if (policy_.OnHit({sample}, {job}) == After::kDrop) Remove(sample);
      return true;
    }
    if (policy_.OnMiss({sample}, {job}) == After::kKeep) Insert(sample);
    return false;
  }
  void FulfilWishes() {
    cache::ChunkWish wish;
    while (policy_.NextWish(wish)) {
      ++wish_count_;
      for (cache::SampleIndex const sample : wish.samples) {
        EXPECT_EQ(shape_.ChunkOf(sample), wish.chunk);
        if (!Insert(sample.value)) policy_.OnWishDropped(sample);
      }
    }
  }
  bool Insert(uint32_t sample) {
    EXPECT_FALSE(held_.contains(sample));
    while (used_bytes_ + shape_.SizeOf({sample}) > capacity_bytes_) {
      auto const victim = policy_.ChooseVictim(HoldBackSamples());
      if (!victim) return false;
      Remove(victim->value);
    }
    held_.insert(sample);
    used_bytes_ += shape_.SizeOf({sample});
    policy_.OnInsert({sample});
    return true;
  }
  void Remove(uint32_t sample) {
    EXPECT_TRUE(held_.contains(sample)) << sample;
    held_.erase(sample);
    used_bytes_ -= shape_.SizeOf({sample});
    policy_.OnRemove({sample});
  }
  bool Holds(uint32_t sample) const { return held_.contains(sample); }
  const std::set<uint32_t>& held() const { return held_; }
  uint64_t used_bytes() const { return used_bytes_; }
  uint64_t wish_count() const { return wish_count_; }

 private:
  const cache::DatasetShape& shape_;
  const uint64_t capacity_bytes_;
  cache::SamplePolicy& policy_;
  std::set<uint32_t> held_;
  uint64_t used_bytes_ = 0;
  uint64_t wish_count_ = 0;
};

}  // namespace stokefs::testing
