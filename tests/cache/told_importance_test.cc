#include "cache/told_importance.h"

#include <gtest/gtest.h>

#include <array>

namespace stokefs::cache {
namespace {

constexpr JobIndex kJob{0};

constexpr uint64_t kExtentBytes = 1000;

// Files of the nodes 1 to 100.
std::unique_ptr<const SampleMap> Files(uint64_t size_bytes) {
  std::vector<SampleMap::File> files;
  for (uint32_t node = 1; node <= 100; ++node)
    files.push_back({SampleId{.high = node, .low = node}, NodeId{node}, size_bytes});
  return SampleMap::Make(std::move(files), {.extent_bytes = kExtentBytes});
}

// With room for ten extents, and one job that draws by weights.
EpochPolicy PolicyOf(const SampleMap& map) {
  EpochPolicy policy(map.shape(), {.capacity_bytes = 10 * kExtentBytes});
  policy.StartJob(kJob);
  policy.SetSampling(kJob, EpochPolicy::Sampling::kWeighted);
  return policy;
}

bool IsWished(EpochPolicy& policy, const SampleMap& map, BlockKey block) {
  policy.ApplyImportance();
  ChunkWish wish;
  while (policy.NextWish(wish)) {
  }
  return policy.PlaceOf(*map.Find(block)) == EpochPolicy::Place::kComing;
}

TEST(ToldImportanceTest, APolicyThatComesLaterHearsAllThatWasTold) {
  ToldImportance told;
  told.Remember(std::array{ImportanceChange{{3}, 9.0F}, ImportanceChange{{900}, 50.0F}});
  told.Remember(std::array{ImportanceChange{{2}, 0.0F}});
  auto const map = Files(kExtentBytes);
  EpochPolicy policy = PolicyOf(*map);
  told.TellAll(*map, policy);
  EXPECT_TRUE(IsWished(policy, *map, {{3}, 0}));
  EXPECT_FALSE(IsWished(policy, *map, {{2}, 0}));
}

TEST(ToldImportanceTest, TheLastWordHolds) {
  ToldImportance told;
  for (uint32_t node = 1; node <= 20; ++node)
    told.Remember(std::array{ImportanceChange{{node}, 9.0F}});
  for (uint32_t node = 1; node <= 10; ++node)
    told.Remember(std::array{ImportanceChange{{node}, 0.5F}});
  auto const map = Files(kExtentBytes);
  EpochPolicy policy = PolicyOf(*map);
  told.TellAll(*map, policy);
  EXPECT_FALSE(IsWished(policy, *map, {{10}, 0}));
  EXPECT_TRUE(IsWished(policy, *map, {{11}, 0}));
}

TEST(ToldImportanceTest, AllExtentsOfALargeFileAreAsImportantAsTheFile) {
  auto const map = Files(2 * kExtentBytes);
  EpochPolicy policy = PolicyOf(*map);
  ToldImportance::Tell(std::array{ImportanceChange{{2}, 9.0F}}, *map, policy);
  EXPECT_TRUE(IsWished(policy, *map, {{2}, 0}));
  EXPECT_TRUE(IsWished(policy, *map, {{2}, 1}));
}

}  // namespace
}  // namespace stokefs::cache
