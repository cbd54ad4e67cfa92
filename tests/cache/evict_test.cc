// Eviction, location and verification: what looks at blocks by path, over a real memory tier.
#include "cache/evict.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "cache/digest.h"
#include "cache/locate.h"
#include "cache/lru_policy.h"
#include "cache/verify_memory.h"
#include "tests/support/catalog_mount.h"
#include "tests/support/fake_disk.h"
#include "tests/support/fake_kernel_cache.h"

namespace stokefs::cache {
namespace {

using testing::CatalogMount;
using testing::FakeDisk;
using testing::FakeKernelCache;
using testing::SourceTree;

class SteeringTest : public ::testing::Test {
 protected:
  SteeringTest() {
    for (std::string const name : {"a/1", "a/2", "ab/3"}) source_.File(name, "abc");
    source_.File("a/large", std::string(25, 'x'));
    mount_ = std::make_unique<CatalogMount>(source_);
    mount_->StartAndComplete();
    auto memory = MemoryTier::Create(1 << 20, policy_);
    STOKEFS_CHECK(memory.has_value());
    memory_ = std::move(*memory);
  }
  BlockKey Key(const std::string& path, uint32_t index = 0) {
    return {(*mount_)->FindPath(path).value(), index};
  }
  void PutInMemory(BlockKey key, const std::string& bytes = "abc", bool is_damaged = false) {
    auto room = memory_->Reserve(bytes.size());
    ASSERT_TRUE(room);
    std::memcpy(room->bytes().data(), bytes.data(), bytes.size());
    uint64_t const digest = DigestOf(room->bytes()) ^ (is_damaged ? 1 : 0);
    memory_->Publish(std::move(*room), key, digest);
  }
  EvictParts Parts() {
    return {.extent_bytes = 10,
            .catalog = *mount_->catalog,
            .memory = *memory_,
            .disk = &disk_,
            .kernel = kernel_};
  }
  base::Result<EvictReport> EvictPaths(const std::vector<std::string>& paths) {
    return Evict(Parts(), paths, is_kept_, signal_, [](const EvictReport&) {});
  }
  void PutEverything() {
    for (std::string const path : {"a/1", "a/2", "ab/3"}) {
      disk_.Put(Key(path), 3);
      PutInMemory(Key(path));
    }
    for (uint32_t i = 0; i < 3; ++i) disk_.Put(Key("a/large", i), 10);
    PutInMemory(Key("a/large", 2), "xxxxx");
  }

  SourceTree source_;
  LruPolicy policy_;
  FakeDisk disk_;
  FakeKernelCache kernel_;
  base::JobSignal signal_;
  PathFilter is_kept_ = [](std::string_view) { return false; };
  std::unique_ptr<CatalogMount> mount_;
  std::unique_ptr<MemoryTier> memory_;
};

TEST_F(SteeringTest, EvictTakesWhatLiesBelowEverywhere) {
  PutEverything();
  auto const report = EvictPaths({"a"});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->samples, 3u);
  EXPECT_EQ(report->disk_blocks, 5u);
  EXPECT_EQ(report->disk_bytes, 36u);
  EXPECT_EQ(report->memory_blocks, 3u);
  EXPECT_EQ(report->memory_bytes, 11u);
  EXPECT_EQ(disk_.Blocks(), (std::set<BlockKey>{Key("ab/3")}));
  EXPECT_EQ(memory_->Usage().slot_count, 1u);
  EXPECT_EQ(kernel_.CallCount(), 3u);
}

TEST_F(SteeringTest, EvictLeavesWhatIsKept) {
  PutEverything();
  is_kept_ = [](std::string_view path) { return path == "a/1"; };
  auto const report = EvictPaths({""});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->pinned_samples, 1u);
  EXPECT_EQ(disk_.Blocks(), (std::set<BlockKey>{Key("a/1")}));
  EXPECT_TRUE(memory_->Peek(Key("a/1")));
}

TEST_F(SteeringTest, EvictOfAnUnknownPathIsAnError) {
  EXPECT_EQ(EvictPaths({"gone"}).error().Errno(), ENOENT);
}

TEST_F(SteeringTest, EverythingIsFormerVersionsToo) {
  PutEverything();
  BlockKey const old = Key("a/1");
  source_.File("a/1", "other");
  std::promise<void> refreshed;
  (*mount_)->Refresh([&](const base::Result<RefreshReport>&) { refreshed.set_value(); });
  refreshed.get_future().wait();
  ASSERT_NE(Key("a/1"), old);
  ASSERT_TRUE(memory_->Peek(old));
  auto const report = EvictEverything(Parts(), is_kept_, signal_, [](const EvictReport&) {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->disk_blocks, 6u);
  EXPECT_EQ(report->disk_bytes, 39u);
  EXPECT_EQ(memory_->Usage().slot_count, 0u);
  EXPECT_TRUE(disk_.Blocks().empty());
}

TEST_F(SteeringTest, EvictIsCancelledBetweenBatches) {
  signal_.Cancel();
  EXPECT_EQ(EvictPaths({"a"}).error().Errno(), ECANCELED);
}

TEST_F(SteeringTest, LocateTellsEachExtent) {
  PutEverything();
  disk_.Evict(std::vector<BlockKey>{Key("a/large", 1)});
  LocateOptions const options{.extent_bytes = 10, .layout = {}};
  auto const located = Locate("a/large", options, *mount_->catalog, *memory_, &disk_);
  ASSERT_TRUE(located);
  EXPECT_EQ(located->id, MakeSampleId("a/large"));
  EXPECT_EQ(located->size_bytes, 25u);
  EXPECT_FALSE(located->chunk);
  ASSERT_EQ(located->blocks.size(), 3u);
  EXPECT_EQ(located->blocks[2].offset, 20u);
  EXPECT_EQ(located->blocks[2].size_bytes, 5u);
  EXPECT_FALSE(located->blocks[0].is_in_memory);
  EXPECT_TRUE(located->blocks[2].is_in_memory);
  EXPECT_TRUE(located->blocks[0].on_disk);
  EXPECT_FALSE(located->blocks[1].on_disk);
  EXPECT_EQ(Locate("a", options, *mount_->catalog, *memory_, &disk_).error().Errno(), EISDIR);
  EXPECT_EQ(Locate("a/9", options, *mount_->catalog, *memory_, nullptr).error().Errno(), ENOENT);
  EXPECT_TRUE(Locate("a/1", options, *mount_->catalog, *memory_, nullptr)->chunk);
}

TEST(Locate, TheChunkIsTheOneOfTheLayout) {
  SourceTree source;
  std::vector<LaidOutSample> samples;
  for (int i = 0; i < 200; ++i) {
    std::string const name = std::to_string(i);
    source.File(name, std::string(static_cast<size_t>(i % 7) + 1, 'x'));
    samples.push_back({MakeSampleId(name), static_cast<uint64_t>(i % 7) + 1});
  }
  CatalogMount mount(source);
  mount.StartAndComplete();
  std::sort(samples.begin(), samples.end(),
            [](const LaidOutSample& a, const LaidOutSample& b) { return a.id < b.id; });
  for (ChunkLayoutOptions const layout :
       {ChunkLayoutOptions{20, 1000}, ChunkLayoutOptions{1 << 20, 5}, ChunkLayoutOptions{1, 1},
        ChunkLayoutOptions{1 << 20, 1000}}) {
    for (Chunk const& chunk : LayOutChunks(samples, layout)) {
      for (uint32_t i = chunk.first; i < chunk.first + chunk.count; ++i) {
        EXPECT_EQ(
            ChunkOf(samples[i].id, {.extent_bytes = 1 << 20, .layout = layout}, *mount.catalog),
            chunk.id);
      }
    }
  }
}

TEST_F(SteeringTest, VerifyForgetsWhatDiffersFromItsDigest) {
  PutInMemory(Key("a/1"));
  PutInMemory(Key("a/2"), "abc", true);
  PutInMemory(Key("ab/3"));
  auto const report = VerifyMemory(*memory_, [](const MemoryVerifyReport&) { return true; });
  EXPECT_EQ(report.blocks, 3u);
  EXPECT_EQ(report.bytes, 9u);
  EXPECT_EQ(report.damaged, 1u);
  EXPECT_FALSE(memory_->Peek(Key("a/2")));
  EXPECT_EQ(memory_->Usage().slot_count, 2u);
}

TEST_F(SteeringTest, VerifyComesThroughManyBlocksAndStopsWhenTold) {
  for (uint32_t i = 0; i < 5000; ++i) PutInMemory({NodeId{1000 + i}, 0}, "x");
  EXPECT_EQ(VerifyMemory(*memory_, [](const MemoryVerifyReport&) { return true; }).blocks, 5000u);
  EXPECT_LT(VerifyMemory(*memory_, [](const MemoryVerifyReport&) { return false; }).blocks, 5000u);
}

}  // namespace
}  // namespace stokefs::cache
