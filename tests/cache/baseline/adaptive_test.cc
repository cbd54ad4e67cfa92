// S3-FIFO and ARC against their papers' pseudo-code written out with plain lists.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

#include "cache/baseline/arc.h"
#include "cache/baseline/s3_fifo.h"
#include "tests/support/policy_memory.h"

namespace stokefs::cache::baseline {
namespace {

using stokefs::testing::HoldBackSamples;
using stokefs::testing::PolicyMemory;

constexpr uint32_t kSampleCount = 400;
constexpr size_t kCapacity = 100;

using Queue = std::deque<uint32_t>;  // oldest first

bool Contains(const Queue& queue, uint32_t sample) {
  return std::find(queue.begin(), queue.end(), sample) != queue.end();
}
void Erase(Queue& queue, uint32_t sample) {
  queue.erase(std::find(queue.begin(), queue.end(), sample));
}
uint32_t PopFront(Queue& queue) {
  uint32_t const front = queue.front();
  queue.pop_front();
  return front;
}

// Algorithm 1 of the S3-FIFO paper.
class NaiveS3Fifo {
 public:
  bool Read(uint32_t x) {
    if (Contains(small_, x) || Contains(main_, x)) {
      reads_[x] = std::min(reads_[x] + 1, 3);
      return true;
    }
    while (small_.size() + main_.size() >= kCapacity) Evict();
    if (Contains(ghost_, x)) {
      Erase(ghost_, x);
      main_.push_back(x);
    } else {
      small_.push_back(x);
    }
    reads_[x] = 0;
    return false;
  }

 private:
  void Evict() {
    if (small_.size() >= kCapacity / 10 || main_.empty()) {
      while (!small_.empty()) {
        uint32_t const t = PopFront(small_);
        if (reads_[t] > 1) {
          reads_[t] = 0;
          main_.push_back(t);
          continue;
        }
        ghost_.push_back(t);
        if (ghost_.size() > kCapacity - kCapacity / 10) ghost_.pop_front();
        return;
      }
    }
    for (;;) {
      uint32_t const t = PopFront(main_);
      if (reads_[t] == 0) return;
      --reads_[t];
      main_.push_back(t);
    }
  }

  Queue small_, main_, ghost_;
  std::map<uint32_t, int> reads_;
};

// Figure 4 of the ARC paper.
class NaiveArc {
 public:
  bool Read(uint32_t x) {
    if (Contains(t1_, x) || Contains(t2_, x)) {
      Erase(Contains(t1_, x) ? t1_ : t2_, x);
      t2_.push_back(x);
      return true;
    }
    if (Contains(b1_, x)) {
      p_ = std::min(kCapacity, p_ + std::max<size_t>(b2_.size() / b1_.size(), 1));
      Replace(false);
      Erase(b1_, x);
      t2_.push_back(x);
    } else if (Contains(b2_, x)) {
      p_ -= std::min(p_, std::max<size_t>(b1_.size() / b2_.size(), 1));
      Replace(true);
      Erase(b2_, x);
      t2_.push_back(x);
    } else {
      size_t const total = t1_.size() + t2_.size() + b1_.size() + b2_.size();
      if (t1_.size() + b1_.size() == kCapacity) {
        if (t1_.size() < kCapacity) {
          b1_.pop_front();
          Replace(false);
        } else {
          t1_.pop_front();
        }
      } else if (total >= kCapacity) {
        if (total == 2 * kCapacity) b2_.pop_front();
        Replace(false);
      }
      t1_.push_back(x);
    }
    return false;
  }

 private:
  void Replace(bool in_b2) {
    if (t1_.size() + t2_.size() < kCapacity) return;
    if (!t1_.empty() && ((in_b2 && t1_.size() == p_) || t1_.size() > p_))
      b1_.push_back(PopFront(t1_));
    else
      b2_.push_back(PopFront(t2_));
  }

  Queue t1_, t2_, b1_, b2_;
  size_t p_ = 0;
};

template <typename Policy, typename Naive>
void CompareWith(Naive naive) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  auto const shape = DatasetShape::Even({.sample_count = kSampleCount, .chunk_samples = 8});
  Policy policy(shape, {.capacity_samples = kCapacity});
  PolicyMemory memory(shape, kCapacity, policy);
  for (int step = 0; step < 30'000; ++step) {
    // Skewed draws with scans between them, so that all lists come to use.
    uint32_t const skewed = std::min({random() % kSampleCount, random() % kSampleCount,
                                      random() % kSampleCount, random() % kSampleCount});
    uint32_t const sample =
        step / 500 % 3 == 2 ? static_cast<uint32_t>(step) % kSampleCount : skewed;
    ASSERT_EQ(memory.Read(sample), naive.Read(sample)) << "step " << step;
  }
}

TEST(S3FifoBaseline, HitsLikeThePapersPseudoCode) { CompareWith<S3Fifo>(NaiveS3Fifo()); }

TEST(ArcBaseline, HitsLikeThePapersPseudoCode) { CompareWith<Arc>(NaiveArc()); }

template <typename Policy>
void EndsWhenAllIsHeldBack() {
  auto const shape = DatasetShape::Even({.sample_count = 3, .chunk_samples = 3});
  Policy policy(shape, {.capacity_samples = 3});
  for (uint32_t i = 0; i < 3; ++i) {
    policy.OnMiss({i}, {0});
    policy.OnInsert({i});
    for (int read = 0; read < 5; ++read) policy.OnHit({i}, {0});
  }
  EXPECT_FALSE(policy.ChooseVictim(HoldBackSamples({0, 1, 2})).has_value());
  EXPECT_EQ(policy.ChooseVictim(HoldBackSamples({0, 2}))->value, 1u);
}

TEST(S3FifoBaseline, EndsItsSearchWhenAllIsHeldBack) { EndsWhenAllIsHeldBack<S3Fifo>(); }

TEST(ArcBaseline, EndsItsSearchWhenAllIsHeldBack) { EndsWhenAllIsHeldBack<Arc>(); }

}  // namespace
}  // namespace stokefs::cache::baseline
