#include "hints/order_plan.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "hints/randperm.h"
#include "tests/support/fake_plan.h"

namespace stokefs::hints {
namespace {

TEST(OrderPlan, AnswersAsAPlainListOfTheRanksSamples) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    uint32_t const n = 1 + random() % 60, world = 1 + random() % 5;
    Mt19937 generator(seed + round);
    auto const order = Randperm(generator, n);
    RankSplit const split{.world = world, .rank = uint32_t(random() % world)};
    std::vector<cache::NodeId> nodes;
    for (uint32_t i = 0; i < n; ++i)
      nodes.push_back(random() % 10 == 0 ? cache::kNoNode : cache::NodeId{i * 3 + 2});
    if (round % 5 == 0) nodes.resize(n / 2);

    std::vector<std::optional<cache::NodeId>> listed;
    for (uint32_t const index : RankSequence(order, split)) {
      bool const gone = index >= nodes.size() || nodes[index] == cache::kNoNode;
      listed.push_back(gone ? std::nullopt : std::optional(nodes[index]));
    }
    testing::FakePlan const model(listed);
    OrderPlan const plan(order, split, nodes);
    ASSERT_EQ(plan.SampleCount(), model.SampleCount());
    for (uint64_t at = 0; at < plan.SampleCount() + 2; ++at) {
      ASSERT_EQ(plan.At(at), model.At(at));
      for (uint32_t node = 1; node < 3 * n + 3; ++node)
        ASSERT_EQ(plan.NextUse({node}, at), model.NextUse({node}, at)) << node << " from " << at;
    }
    ASSERT_EQ(plan.NextUse({2}, UINT64_MAX), std::nullopt);
  }
}

}  // namespace
}  // namespace stokefs::hints
