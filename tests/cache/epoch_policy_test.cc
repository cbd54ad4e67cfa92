#include "cache/epoch_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "tests/support/policy_memory.h"

namespace stokefs::cache {
namespace {

using stokefs::testing::HoldBackSamples;
using stokefs::testing::PolicyMemory;

std::vector<uint32_t> Shuffled(uint32_t count, std::mt19937& random) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

double Bound(double c) { return c * (1 - std::log(c)); }

// One job over `sample_count` samples, memory for `capacity` of them.
class OneJob : public ::testing::Test {
 protected:
  void Set(uint32_t sample_count, uint64_t capacity, uint32_t chunk_samples = 8) {
    shape_.emplace(
        DatasetShape::Even({.sample_count = sample_count, .chunk_samples = chunk_samples}));
    policy_.emplace(*shape_, EpochPolicy::Options{capacity});
    memory_.emplace(*shape_, capacity, *policy_);
    policy_->StartJob({0});
  }
  double ReadEpoch(const std::vector<uint32_t>& order) {
    double hits = 0;
    for (uint32_t const sample : order) hits += memory_->Read(sample) ? 1 : 0;
    return hits / static_cast<double>(order.size());
  }

  std::optional<DatasetShape> shape_;
  std::optional<EpochPolicy> policy_;
  std::optional<PolicyMemory> memory_;
  std::mt19937 random_{42};
};

TEST_F(OneJob, FillsMemoryWithUnreadSamplesChunkByChunk) {
  Set(64, 16);
  memory_->FulfilWishes();
  EXPECT_EQ(memory_->used_bytes(), 16u);
  EXPECT_EQ(memory_->wish_count(), 2u);
  EXPECT_TRUE(memory_->Holds(0) && memory_->Holds(15));
}

TEST_F(OneJob, UsedSamplesGoBeforeUnreadOnes) {
  Set(64, 16);
  memory_->FulfilWishes();
  memory_->ReadOnly(5);
  EXPECT_EQ(policy_->ChooseVictim(HoldBackSamples())->value, 5u);
  memory_->ReadOnly(2);
  EXPECT_EQ(policy_->ChooseVictim(HoldBackSamples({5}))->value, 2u);
}

TEST_F(OneJob, WhatWasMissedIsNotKeptWhenUnreadSamplesFillMemory) {
  Set(64, 16);
  memory_->FulfilWishes();
  EXPECT_EQ(policy_->OnMiss({60}, {0}), SamplePolicy::After::kDrop);
}

TEST_F(OneJob, AWishIsToldOnceUntilItCameOrWasDropped) {
  Set(8, 8);
  ChunkWish wish;
  ASSERT_TRUE(policy_->NextWish(wish));
  EXPECT_EQ(wish.samples.size(), 8u);
  ChunkWish again;
  EXPECT_FALSE(policy_->NextWish(again));
  policy_->OnWishDropped({3});
  ASSERT_TRUE(policy_->NextWish(again));
  EXPECT_EQ(again.samples, std::vector<SampleIndex>{{3}});
}

TEST_F(OneJob, ASampleReadWhileItIsComingIsSpentWhenItComes) {
  Set(8, 8);
  ChunkWish wish;
  ASSERT_TRUE(policy_->NextWish(wish));
  policy_->OnMiss({2}, {0});
  for (SampleIndex const sample : wish.samples) policy_->OnInsert(sample);
  EXPECT_EQ(policy_->SpentBytes(), 1u);
  EXPECT_EQ(policy_->ChooseVictim(HoldBackSamples())->value, 2u);
}

TEST_F(OneJob, AnEpochMakesAllSamplesUnread) {
  Set(64, 16);
  for (uint32_t i = 0; i < 64; ++i) memory_->Read(i);
  EXPECT_EQ(policy_->UnreadBytes({0}), 0u);
  EXPECT_EQ(policy_->SpentBytes(), 16u);
  policy_->OnEpoch({0});
  EXPECT_EQ(policy_->UnreadBytes({0}), 64u);
  EXPECT_EQ(policy_->SpentBytes(), 0u);
}

TEST_F(OneJob, ReadingASampleAgainChangesNothing) {
  Set(64, 16);
  memory_->Read(1);
  memory_->Read(1);
  EXPECT_EQ(policy_->UnreadBytes({0}), 63u);
}

TEST_F(OneJob, SteadyEpochsHitTheBoundWithinAHundredth) {
  for (double const c : {0.1, 0.2, 0.3, 0.5, 0.75}) {
    constexpr uint32_t kCount = 20'000;
    Set(kCount, static_cast<uint64_t>(c * kCount), 16);
    double hit_ratio = 0;
    for (int epoch = 0; epoch < 3; ++epoch) {
      if (epoch > 0) policy_->OnEpoch({0});
      hit_ratio = ReadEpoch(Shuffled(kCount, random_));
    }
    EXPECT_NEAR(hit_ratio, Bound(c), 0.01) << c;
  }
}

TEST_F(OneJob, ReadsEachChunkAboutOnceAnEpoch) {
  Set(20'000, 4'000, 16);
  ReadEpoch(Shuffled(20'000, random_));
  policy_->OnEpoch({0});
  uint64_t const before = memory_->wish_count();
  ReadEpoch(Shuffled(20'000, random_));
  EXPECT_LT(static_cast<double>(memory_->wish_count() - before), 1.1 * shape_->chunk_count());
}

TEST_F(OneJob, AChunkLargerThanAHundredthOfMemoryIsRefilledInParts) {
  Set(20'000, 4'000, 2'000);
  double hit_ratio = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    if (epoch > 0) policy_->OnEpoch({0});
    hit_ratio = ReadEpoch(Shuffled(20'000, random_));
  }
  EXPECT_NEAR(hit_ratio, Bound(0.2), 0.01);
}

TEST_F(OneJob, MemoryForEverythingHitsEverything) {
  Set(64, 64);
  ReadEpoch(Shuffled(64, random_));
  policy_->OnEpoch({0});
  EXPECT_EQ(ReadEpoch(Shuffled(64, random_)), 1.0);
}

TEST_F(OneJob, MemoryForOneSampleWorks) {
  Set(64, 1);
  ReadEpoch(Shuffled(64, random_));
  policy_->OnEpoch({0});
  ReadEpoch(Shuffled(64, random_));
  EXPECT_EQ(memory_->used_bytes(), 1u);
  policy_->CheckConsistency();
}

TEST_F(OneJob, ReadsByAReaderWithoutEpochsTakeNothingFromTheJob) {
  Set(64, 16);
  memory_->FulfilWishes();
  auto const held = memory_->held();
  for (uint32_t i = 0; i < 64; ++i) memory_->Read(i, 5);
  EXPECT_EQ(memory_->held(), held);
  EXPECT_EQ(policy_->UnreadBytes({0}), 64u);
}

TEST_F(OneJob, AKnownPlanIsReadAheadAndHitsNearlyAll) {
  Set(4'000, 400, 16);
  double hit_ratio = 0;
  for (int epoch = 0; epoch < 2; ++epoch) {
    if (epoch > 0) policy_->OnEpoch({0});
    auto const order = Shuffled(4'000, random_);
    std::vector<SampleIndex> plan;
    plan.reserve(order.size());
    for (uint32_t const sample : order) plan.push_back({sample});
    policy_->SetPlan({0}, plan);
    memory_->FulfilWishes();
    hit_ratio = ReadEpoch(order);
  }
  EXPECT_GT(hit_ratio, 0.99);
}

TEST_F(OneJob, WhatAPlanReadsNextTakesAlongWhatItsChunkHasForLater) {
  Set(4'000, 2'000, 16);
  auto const order = Shuffled(4'000, random_);
  std::vector<SampleIndex> plan;
  plan.reserve(order.size());
  for (uint32_t const sample : order) plan.push_back({sample});
  policy_->SetPlan({0}, plan);
  ReadEpoch(order);
  EXPECT_LT(memory_->wish_count(), 4'000u / 4);
}

TEST_F(OneJob, UnderAPlanWhatIsReadNextIsKept) {
  Set(100, 10, 10);
  std::vector<SampleIndex> plan;
  for (uint32_t i = 100; i-- > 0;) plan.push_back({i});
  policy_->SetPlan({0}, plan);
  for (uint32_t i = 90; i < 100; ++i) EXPECT_TRUE(policy_->Wants({0}, {i}));
  EXPECT_FALSE(policy_->Wants({0}, {89}));
  memory_->Read(99);
  EXPECT_FALSE(policy_->Wants({0}, {99}));
  EXPECT_TRUE(policy_->Wants({0}, {89}));
}

TEST_F(OneJob, APlanThatRepeatsASampleReadsItAheadOnce) {
  Set(20, 10, 10);
  std::vector<SampleIndex> const plan = {{3}, {3}, {4}, {3}, {5}};
  policy_->SetPlan({0}, plan);
  memory_->FulfilWishes();
  for (uint32_t sample : {3, 3, 4, 3, 5}) memory_->Read(sample);
  policy_->CheckConsistency();
  EXPECT_EQ(policy_->UnreadBytes({0}), 17u);
}

TEST_F(OneJob, WeightedSamplingKeepsWhatIsReadMostOften) {
  Set(1'000, 100, 10);
  policy_->SetSampling({0}, EpochPolicy::Sampling::kWeighted);
  for (uint32_t i = 0; i < 1'000; ++i) policy_->SetImportance({i}, i % 10 == 3 ? 5 : 0.5);
  policy_->ApplyImportance();
  memory_->FulfilWishes();
  EXPECT_EQ(memory_->held().size(), 100u);
  for (uint32_t const sample : memory_->held()) EXPECT_EQ(sample % 10, 3u);
  memory_->Read(13);
  EXPECT_TRUE(policy_->Wants({0}, {13})) << "it is as likely to be read again";
}

TEST_F(OneJob, ASampleThatBecomesImportantComesAndTheLeastImportantLeaves) {
  Set(1'000, 100, 10);
  policy_->SetSampling({0}, EpochPolicy::Sampling::kWeighted);
  for (uint32_t i = 0; i < 1'000; ++i) policy_->SetImportance({i}, i < 100 ? 4 : 0.1);
  memory_->FulfilWishes();
  for (uint32_t i = 500; i < 520; ++i) policy_->SetImportance({i}, 8);
  for (uint32_t i = 0; i < 20; ++i) policy_->SetImportance({i}, 0.1);
  policy_->OnEpoch({0});
  memory_->FulfilWishes();
  EXPECT_TRUE(memory_->Holds(510));
  EXPECT_FALSE(memory_->Holds(5));
  policy_->CheckConsistency();
}

TEST_F(OneJob, AJobWantsNothingOutsideItsScope) {
  Set(64, 16);
  policy_->EndJob({0});
  std::vector<bool> scope(64);
  for (uint32_t i = 32; i < 64; ++i) scope[i] = true;
  policy_->StartJob({0}, scope);
  memory_->FulfilWishes();
  EXPECT_EQ(*memory_->held().begin(), 32u);
  EXPECT_EQ(policy_->UnreadBytes({0}), 32u);
}

TEST(EpochPolicyBytes, SamplesOfDifferentSizesFillMemoryAndNoMore) {
  std::mt19937 random(3);
  std::vector<uint32_t> sizes(3'000);
  for (uint32_t& size : sizes) size = 100 + random() % 4'000;
  DatasetShape const shape(std::vector<uint32_t>(300, 10), sizes);
  uint64_t const capacity = shape.total_bytes() / 5;
  EpochPolicy policy(shape, {capacity});
  PolicyMemory memory(shape, capacity, policy);
  policy.StartJob({0});
  double hits = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    if (epoch > 0) policy.OnEpoch({0});
    hits = 0;
    for (uint32_t const sample : Shuffled(3'000, random)) hits += memory.Read(sample) ? 1 : 0;
    ASSERT_LE(memory.used_bytes(), capacity);
  }
  policy.CheckConsistency();
  EXPECT_GT(hits / 3'000, Bound(0.2) - 0.04);
}

TEST(EpochPolicyBytes, AWishTakesNoMoreThanThereIsRoomFor) {
  DatasetShape const shape(std::vector<uint32_t>{20}, std::vector<uint32_t>(20, 100));
  EpochPolicy policy(shape, {1000});
  policy.StartJob({0});
  ChunkWish wish;
  ASSERT_TRUE(policy.NextWish(wish));
  EXPECT_EQ(wish.samples.size(), 10u);
  EXPECT_FALSE(policy.NextWish(wish)) << "what is coming has taken the room";
}

TEST(EpochPolicyBytes, ASampleLargerThanMemoryIsNeverWishedForAndStopsNothing) {
  DatasetShape const shape(std::vector<uint32_t>{2, 2, 2}, {1000, 1000, 10, 10, 10, 1000});
  EpochPolicy policy(shape, {100});
  PolicyMemory memory(shape, 100, policy);
  policy.StartJob({0});
  for (int i = 0; i < 6; ++i) memory.FulfilWishes();
  EXPECT_EQ(memory.held(), (std::set<uint32_t>{2, 3, 4}));
}

}  // namespace
}  // namespace stokefs::cache
