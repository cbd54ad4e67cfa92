// The fakes keep the contracts of what they stand for.
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_kernel_cache.h"
#include "tests/support/fake_plan.h"
#include "tests/support/fake_source.h"
#include "tests/support/faulty_sources.h"
#include "tests/support/fifo_policy.h"

namespace stokefs::testing {
namespace {

using cache::BlockKey;
using cache::NodeId;

struct Asked {
  std::vector<std::byte> bytes = std::vector<std::byte>(100);
  std::vector<int> answers;  // errno of each, 0 for ok

  cache::FetchItem Item(BlockKey key) {
    return {.key = key, .into = bytes, .done = [this](base::Status status) {
              answers.push_back(status ? 0 : status.error().Errno());
            }};
  }
};

TEST(FakeSource, AnswersWhenToldWithTheBytesOfTheBlock) {
  FakeSource source;
  Asked first, second;
  source.Fetch({first.Item({NodeId{1}, 0}), second.Item({NodeId{2}, 3})});
  EXPECT_EQ(source.WaitingCount(), 2u);
  EXPECT_TRUE(first.answers.empty());
  EXPECT_TRUE(source.AnswerKey({NodeId{2}, 3}));
  EXPECT_TRUE(HoldsBlock(second.bytes, {NodeId{2}, 3}));
  EXPECT_TRUE(source.AnswerNext(base::Fail(std::errc::io_error, "")));
  EXPECT_FALSE(source.AnswerNext());
  EXPECT_EQ(first.answers, std::vector<int>{EIO});
  EXPECT_FALSE(HoldsBlock(first.bytes, {NodeId{1}, 0}));
  EXPECT_EQ(source.AskedCount({NodeId{1}, 0}), 1u);
}

TEST(FakeSource, AnotherVersionHasOtherBytes) {
  FakeSource source;
  Asked asked;
  source.SetSalt(NodeId{1}, 7);
  source.Fetch({asked.Item({NodeId{1}, 0})});
  source.AnswerAll();
  EXPECT_TRUE(HoldsBlock(asked.bytes, {NodeId{1}, 0}, 7));
  EXPECT_FALSE(HoldsBlock(asked.bytes, {NodeId{1}, 0}));
}

TEST(AnsweringThread, AnswersOnAThreadOfItsOwn) {
  FakeSource source;
  Asked asked;
  {
    AnsweringThread thread(source);
    base::Mutex mu;
    base::CondVar changed;
    bool done = false;
    auto item = asked.Item({NodeId{1}, 0});
    item.done = [&](base::Status) {
      base::MutexLock lock(mu);
      done = true;
      changed.SignalAll();
    };
    source.Fetch({std::move(item)});
    base::MutexLock lock(mu);
    while (!done) changed.Wait(mu);
  }
  EXPECT_TRUE(HoldsBlock(asked.bytes, {NodeId{1}, 0}));
}

TEST(FaultySources, FailFlipAndDelayWhatTheyAreToldTo) {
  FakeSource source;
  FailNthSource fails(source, {.first = 2, .period = 2}, std::errc::timed_out);
  Asked asked;
  for (int i = 0; i < 5; ++i) fails.Fetch({asked.Item({NodeId{1}, 0})});
  source.AnswerAll();
  EXPECT_EQ(asked.answers, (std::vector<int>{0, ETIMEDOUT, 0, ETIMEDOUT, 0}));

  FlipBitSource flips(source, {.first = 1});
  Asked flipped;
  flips.Fetch({flipped.Item({NodeId{1}, 0})});
  source.AnswerAll();
  EXPECT_EQ(flipped.answers, std::vector<int>{0});
  EXPECT_FALSE(HoldsBlock(flipped.bytes, {NodeId{1}, 0}));

  FakeClock clock;
  DelaySource delays(source, clock, std::chrono::seconds(1));
  Asked late;
  delays.Fetch({late.Item({NodeId{1}, 0})});
  source.AnswerAll();
  EXPECT_EQ(delays.AnswerDue(), 0u);
  clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(delays.AnswerDue(), 1u);
  EXPECT_EQ(late.answers, std::vector<int>{0});
}

TEST(FakeKernelCache, NotesCallsAndForgetsTheOldest) {
  FakeKernelCache kernel(2);
  std::vector<std::byte> const bytes(3);
  EXPECT_TRUE(kernel.Push(NodeId{1}, 5, bytes).has_value());
  kernel.SetStatus(base::Fail(std::errc::no_such_file_or_directory, ""));
  EXPECT_FALSE(kernel.Drop(NodeId{2}).has_value());
  EXPECT_FALSE(kernel.DropName(NodeId{3}, "name").has_value());
  auto const calls = kernel.Take();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0].node, NodeId{2});
  EXPECT_EQ(calls[1].name, "name");
  EXPECT_EQ(kernel.CallCount(), 3u);
}

TEST(FakePlan, TellsTheNextUseAndSkipsPadding) {
  FakePlan const plan({NodeId{5}, std::nullopt, NodeId{6}, NodeId{5}});
  EXPECT_EQ(plan.SampleCount(), 4u);
  EXPECT_EQ(plan.At(1), std::nullopt);
  EXPECT_EQ(plan.At(4), std::nullopt);
  EXPECT_EQ(plan.NextUse(NodeId{5}, 1), 3u);
  EXPECT_EQ(plan.NextUse(NodeId{6}, 3), std::nullopt);
  EXPECT_EQ(FakeRanking({{NodeId{1}, 2.5}}).Importance(NodeId{1}), 2.5);
  EXPECT_EQ(FakeRanking().Importance(NodeId{1}), 1.0);
}

struct AnyMayGo final : cache::SlotFilter {
  bool MayGo(cache::SlotIndex) const override { return true; }
};

TEST(FifoPolicy, IsNotMovedByReads) {
  FifoPolicy policy;
  policy.OnInsert({4}, {}, 1);
  policy.OnInsert({2}, {}, 1);
  policy.OnRead({4}, {});
  EXPECT_EQ(policy.ChooseVictim(AnyMayGo())->value, 4u);
  policy.OnRemove({4});
  EXPECT_EQ(policy.ChooseVictim(AnyMayGo())->value, 2u);
}

}  // namespace
}  // namespace stokefs::testing
