// EpochPolicy under random operations, against a model of plain sets.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <set>

#include "cache/epoch_policy.h"
#include "tests/support/policy_memory.h"

namespace stokefs::cache {
namespace {

using stokefs::testing::HoldBackSamples;

constexpr uint32_t kCount = 120;
constexpr uint8_t kJobCount = 3;

class RandomOperations : public ::testing::Test {
 protected:
  struct Job {
    bool active = false;
    std::set<uint32_t> scope, unread;
  };

  RandomOperations() {
    std::vector<uint32_t> sizes(kCount);
    for (uint32_t& size : sizes) size = 1 + Below(50);
    shape_.emplace(std::vector<uint32_t>(12, 10), sizes);
    policy_.emplace(*shape_, EpochPolicy::Options{800});
  }

  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }
  bool IsWanted(uint32_t sample) const {
    return std::any_of(jobs_.begin(), jobs_.end(),
                       [&](const Job& job) { return job.unread.contains(sample); });
  }

  void StartOrEnd(uint8_t number) {
    Job& job = jobs_[number];
    if (job.active) {
      job = {};
      policy_->EndJob({number});
      return;
    }
    std::vector<bool> scope(kCount);
    job.active = true;
    for (uint32_t i = 0; i < kCount; ++i) {
      scope[i] = Below(4) > 0;
      if (scope[i]) job.scope.insert(i);
    }
    job.unread = job.scope;
    policy_->StartJob({number}, scope);
  }
  void BeginEpoch(uint8_t number) {
    jobs_[number].unread = jobs_[number].scope;
    policy_->OnEpoch({number});
  }
  void Wish() {
    ChunkWish wish;
    if (!policy_->NextWish(wish)) return;
    EXPECT_FALSE(wish.samples.empty());
    for (SampleIndex const sample : wish.samples) {
      EXPECT_EQ(shape_->ChunkOf(sample), wish.chunk);
      EXPECT_FALSE(cached_.contains(sample.value) || coming_.contains(sample.value));
      EXPECT_TRUE(policy_->Wants({0}, sample) || policy_->Wants({1}, sample) ||
                  policy_->Wants({2}, sample));
      coming_.insert(sample.value);
    }
  }
  void EndWish() {
    if (coming_.empty()) return;
    uint32_t const sample = *coming_.begin();
    coming_.erase(sample);
    if (Below(8) == 0) {
      policy_->OnWishDropped({sample});
    } else {
      policy_->OnInsert({sample});
      cached_.insert(sample);
    }
  }
  void Read(uint8_t job, uint32_t sample) {
    if (cached_.contains(sample)) {
      policy_->OnHit({sample}, {job});
    } else if (policy_->OnMiss({sample}, {job}) == SamplePolicy::After::kKeep) {
      coming_.erase(sample);
      cached_.insert(sample);
      policy_->OnInsert({sample});
    }
    jobs_[job].unread.erase(sample);
  }
  std::optional<uint32_t> Evict(const SampleFilter& filter) {
    auto const victim = policy_->ChooseVictim(filter);
    bool const any_may_go =
        std::any_of(cached_.begin(), cached_.end(), [&](uint32_t i) { return filter.MayGo({i}); });
    EXPECT_EQ(victim.has_value(), any_may_go);
    if (!victim) return std::nullopt;
    EXPECT_TRUE(cached_.contains(victim->value) && filter.MayGo(*victim));
    return victim->value;
  }
  void Remove(uint32_t sample) {
    policy_->OnRemove({sample});
    cached_.erase(sample);
  }

  const unsigned seed_ = std::random_device()();
  std::mt19937 random_{seed_};
  std::optional<DatasetShape> shape_;
  std::optional<EpochPolicy> policy_;
  std::array<Job, kJobCount> jobs_;
  std::set<uint32_t> cached_, coming_;
};

TEST_F(RandomOperations, WhatIsWantedAndWhoGoesFollowFromWhatWasRead) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  for (int step = 0; step < 4'000 && !HasFailure(); ++step) {
    auto const job = static_cast<uint8_t>(Below(kJobCount));
    uint32_t const action = Below(40);
    if (action == 0) {
      if (!jobs_[job].active || Below(4) == 0) StartOrEnd(job);
    } else if (action == 1) {
      BeginEpoch(job);
    } else if (action < 5) {
      Wish();
    } else if (action < 10) {
      EndWish();
    } else if (action < 12) {
      HoldBackSamples const filter({Below(kCount), Below(kCount)});
      if (auto const victim = Evict(filter)) {
        bool const any_spent = std::any_of(cached_.begin(), cached_.end(), [&](uint32_t i) {
          return filter.MayGo({i}) && !IsWanted(i);
        });
        EXPECT_EQ(!IsWanted(*victim), any_spent) << "spent samples go first";
        Remove(*victim);
      }
    } else {
      Read(job, Below(kCount));
    }
    for (uint8_t j = 0; j < kJobCount; ++j)
      for (uint32_t i = 0; i < kCount; ++i)
        ASSERT_EQ(policy_->Wants({j}, {i}), jobs_[j].unread.contains(i)) << "step " << step;
    policy_->CheckConsistency();
  }
}

TEST_F(RandomOperations, PlansAndImportanceKeepWhatIsCountedTrue) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  std::array<std::vector<SampleIndex>, kJobCount> plans;
  for (int step = 0; step < 4'000 && !HasFailure(); ++step) {
    auto const job = static_cast<uint8_t>(Below(kJobCount));
    uint32_t const action = Below(40);
    if (action == 0) {
      if (!jobs_[job].active || Below(4) == 0) StartOrEnd(job);
    } else if (action == 1) {
      BeginEpoch(job);
    } else if (action == 2 && jobs_[job].active) {
      policy_->OnEpoch({job});  // lets the old plan go
      plans[job].clear();
      for (uint32_t i = 0; i < kCount; ++i) plans[job].push_back({Below(kCount)});
      policy_->SetPlan({job}, plans[job]);
    } else if (action == 3 && jobs_[job].active) {
      policy_->SetSampling({job}, Below(2) == 0 ? EpochPolicy::Sampling::kWeighted
                                                : EpochPolicy::Sampling::kOncePerEpoch);
    } else if (action < 10) {
      policy_->SetImportance({Below(kCount)}, Below(100) / 10.0);
    } else if (action < 14) {
      Wish();
    } else if (action < 19) {
      EndWish();
    } else if (action < 22) {
      if (auto const victim = Evict(HoldBackSamples({Below(kCount)}))) Remove(*victim);
    } else {
      Read(job, plans[job].empty() ? Below(kCount) : plans[job][Below(kCount)].value);
    }
    policy_->CheckConsistency();
  }
}

}  // namespace
}  // namespace stokefs::cache
