#include "cache/disk_tier.h"

#include <atomic>
#include <fstream>
#include <random>
#include <thread>

#include "tests/cache/disk_tier_fixture.h"

namespace stokefs::cache {
namespace {

TEST_F(DiskTierTest, WhatTheOriginGaveIsReadFromTheDisk) {
  FeedMany(2, 100);
  for (uint32_t i = 2; i < 100; ++i) ASSERT_EQ(Read({i}), 0) << i;
  EXPECT_EQ(tier().Statistics().written.Value(), 98u);
  EXPECT_EQ(tier().Usage().blocks, 98u);
  EXPECT_EQ(Read({100}), ENOENT);
  EXPECT_TRUE(tier().Holds({{2}}));
  EXPECT_FALSE(tier().Holds({{100}}));
}

TEST_F(DiskTierTest, WhatIsNotYetWrittenIsReadAllTheSame) {
  options_.flush_after = std::chrono::hours(1);
  Read({2});  // past the load
  Feed({2});
  EXPECT_EQ(Read({2}), 0);
  EXPECT_TRUE(Files().empty());
}

TEST_F(DiskTierTest, ABlockWithoutRoomHasWhatIsInItsWayWrittenAtOnce) {
  options_.flush_after = std::chrono::hours(1);
  options_.layout.chunk_bytes = kBlockBytes / 3;  // a bundle for each block, and room for one
  Feed({2});
  Feed({3});
  auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (tier().Usage().blocks < 1 && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  EXPECT_EQ(tier().Usage().blocks, 1u);
  EXPECT_EQ(Read({2}), 0);
}

TEST_F(DiskTierTest, SurvivesARestart) {
  FeedMany(2, 100);
  Close();
  for (uint32_t i = 2; i < 100; ++i) ASSERT_EQ(Read({i}), 0) << i;
  EXPECT_EQ(tier().Usage().used_bytes, BytesOnDisk());
}

TEST_F(DiskTierTest, WhatWasCollectedIsWrittenAtTheEnd) {
  options_.flush_after = std::chrono::hours(1);
  Read({2});
  Feed({2});
  Close();
  EXPECT_EQ(Files().size(), 1u);
  EXPECT_EQ(Read({2}), 0);
}

TEST_F(DiskTierTest, AVersionThatIsGoneIsNotRead) {
  FeedMany(2, 10);
  SetVersion({3}, 2);
  EXPECT_EQ(Read({3}, 1), ENOENT);
  Feed({3}, 1);
  tier().Flush();
  EXPECT_EQ(Read({3}, 1), 0);
  Close();
  EXPECT_EQ(Read({3}, 1), 0);
}

TEST_F(DiskTierTest, EveryFlippedBitIsFoundAndNeverRead) {
  uint64_t const seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    FeedMany(2, 60);
    Close();
    auto const files = Files();
    ASSERT_FALSE(files.empty());
    auto const& path = files[random() % files.size()];
    {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      auto const at = static_cast<std::streamoff>(random() % std::filesystem::file_size(path));
      file.seekg(at);
      char byte = static_cast<char>(file.get());
      file.seekp(at);
      file.put(static_cast<char>(byte ^ (1 << random() % 8)));
    }
    for (uint32_t i = 2; i < 60; ++i) {
      int const error = Read({i});
      ASSERT_TRUE(error == 0 || error == EBADMSG || error == ENOENT) << error;
    }
    ASSERT_LE(tier().Usage().used_bytes, kBudget);
    ASSERT_EQ(tier().Usage().used_bytes, BytesOnDisk());
  }
}

TEST_F(DiskTierTest, ADamagedFileIsPutAsideAndItsBlocksComeAgain) {
  FeedMany(2, 10);
  auto const path = Files().at(0);
  std::filesystem::resize_file(path, 4096);
  EXPECT_EQ(Read({2}), EBADMSG);
  EXPECT_EQ(Read({2}), ENOENT);
  EXPECT_EQ(Files(".bad").size(), 1u);
  FeedMany(2, 10);
  EXPECT_EQ(Read({2}), 0);
}

TEST_F(DiskTierTest, ADeletedFileIsAMiss) {
  FeedMany(2, 10);
  Close();
  tier().Flush();
  ASSERT_EQ(Read({9}), 0);
  FeedMany(100, 110);
  std::filesystem::remove_all(folder_ / "a");
  for (uint32_t i = 2; i < 10; ++i) EXPECT_NE(Read({i}), -1);
  FeedMany(2, 10);
  EXPECT_EQ(Read({2}), 0);
}

TEST_F(DiskTierTest, TheBudgetIsNeverPassed) {
  options_.budget_bytes = 1u << 20;
  for (uint32_t i = 2; i < 1000; i += 50) {
    FeedMany(i, i + 50);
    ASSERT_LE(BytesOnDisk(), options_.budget_bytes);
    ASSERT_LE(tier().Usage().used_bytes, options_.budget_bytes);
  }
  EXPECT_GT(tier().Statistics().skipped.Value(), 0u);
  EXPECT_GT(tier().Usage().used_bytes, options_.budget_bytes / 2);
  EXPECT_EQ(Read({2}), 0);
}

TEST_F(DiskTierTest, ASmallerBudgetIsReachedByEvictingAtTheStart) {
  FeedMany(2, 800);
  Close();
  options_.budget_bytes = 512u << 10;
  Read({2});
  EXPECT_LE(tier().Usage().used_bytes, options_.budget_bytes);
  EXPECT_LE(BytesOnDisk(), options_.budget_bytes);
  EXPECT_GT(tier().Usage().blocks, 0u);
}

TEST_F(DiskTierTest, FilesOfAnotherDatasetOrLayoutAreRemoved) {
  FeedMany(2, 10);
  Close();
  options_.dataset = 8;
  EXPECT_EQ(Read({2}), ENOENT);
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(tier().Usage().used_bytes, 0u);
}

TEST_F(DiskTierTest, EvictedBlocksAreGoneAndTheirFileWithTheLastOfThem) {
  FeedMany(2, 12);
  std::vector<BlockKey> keys;
  for (uint32_t i = 2; i < 11; ++i) keys.push_back({{i}});
  EXPECT_EQ(tier().Evict(keys), 9u);
  EXPECT_EQ(Read({2}), ENOENT);
  EXPECT_EQ(Read({11}), 0);
  EXPECT_EQ(tier().Evict(std::vector<BlockKey>{{{11}}}), 1u);
  EXPECT_TRUE(Files().empty());
  EXPECT_EQ(tier().Usage().used_bytes, 0u);
}

TEST_F(DiskTierTest, PinnedBlocksStayAndMakeRoomForThemselves) {
  options_.budget_bytes = 512u << 10;
  FeedMany(2, 300);
  ASSERT_GT(tier().Statistics().skipped.Value(), 0u);
  tier().Pin(std::vector<BlockKey>{{{400}}});
  Feed({400});
  tier().Flush();
  EXPECT_EQ(Read({400}), 0);
  EXPECT_EQ(tier().Usage().pinned_blocks, 1u);
  EXPECT_LE(tier().Usage().used_bytes, options_.budget_bytes);
  tier().EvictAll();
  EXPECT_EQ(Read({400}), 0);
  EXPECT_EQ(tier().Usage().blocks, 1u);
  tier().Unpin(std::vector<BlockKey>{{{400}}});
  tier().EvictAll();
  EXPECT_EQ(Read({400}), ENOENT);
}

TEST_F(DiskTierTest, PinsThatCannotFitSendNobodyAway) {
  options_.budget_bytes = 512u << 10;
  FeedMany(2, 300);
  std::vector<BlockKey> pins;
  for (uint32_t i = 400; i < 800; ++i) pins.push_back({{i}});
  tier().Pin(pins);
  FeedMany(400, 800);
  EXPECT_EQ(tier().Usage().used_bytes, BytesOnDisk());
  EXPECT_LE(tier().Usage().used_bytes, options_.budget_bytes);
  tier().Unpin(pins);
  tier().EvictAll();
  EXPECT_EQ(tier().Usage().used_bytes, 0u);
  EXPECT_EQ(BytesOnDisk(), 0u);
}

TEST_F(DiskTierTest, RoomOfEvictedBlocksIsGivenBackWhenItIsShort) {
  options_.budget_bytes = 2u << 20;
  FeedMany(2, 900);
  ASSERT_GT(tier().Statistics().skipped.Value(), 0u);
  std::vector<BlockKey> evicted;
  for (uint32_t i = 2; i < 900; i += 4) evicted.push_back({{i}});
  ASSERT_GT(tier().Evict(evicted), 100u);
  auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(100);
  uint64_t const used_bytes = tier().Usage().used_bytes;
  while (tier().Usage().used_bytes + 80'000 > used_bytes &&
         std::chrono::steady_clock::now() < end) {
    tier().Flush();
  }
  FeedMany(1000, 1015);
  for (uint32_t i = 1000; i < 1015; ++i) ASSERT_EQ(Read({i}), 0);
  EXPECT_EQ(Read({3}), 0);
}

TEST_F(DiskTierTest, VerifyFindsWhatIsDamaged) {
  FeedMany(2, 200);
  auto report = tier().Verify([](auto const&) { return true; });
  EXPECT_EQ(report.blocks, 198u);
  EXPECT_EQ(report.damaged_files, 0u);
  EXPECT_EQ(report.files, report.files_total);
  auto const path = Files().at(0);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path)) - 5000);
    file.write("damage", 6);
  }
  report = tier().Verify([](auto const&) { return true; });
  EXPECT_EQ(report.damaged_files, 1u);
  EXPECT_EQ(Files(".bad").size(), 1u);
}

TEST_F(DiskTierTest, SmallFilesAreJoined) {
  for (uint32_t i = 2; i < 32; ++i) FeedMany(i, i + 1);
  auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(100);
  while (Files().size() > 8 && std::chrono::steady_clock::now() < end) tier().Flush();
  EXPECT_LE(Files().size(), 8u);
  for (uint32_t i = 2; i < 32; ++i) ASSERT_EQ(Read({i}), 0);
  Close();
  for (uint32_t i = 2; i < 32; ++i) ASSERT_EQ(Read({i}), 0);
  EXPECT_EQ(tier().Usage().used_bytes, BytesOnDisk());
}

class FakeWanted final : public WantedBlocks {
 public:
  uint64_t Version() const override { return version.load(); }
  void Visit(const std::function<void(BlockKey)>& visit) const override {
    for (uint32_t i = 2; i < 50; ++i) visit({{i}});
  }
  std::atomic<uint64_t> version{0};
};

TEST_F(DiskTierTest, WhatTheDatasetNoLongerHasGivesItsRoomBack) {
  FakeWanted wanted;
  options_.wanted = &wanted;
  FeedMany(2, 400);
  uint64_t const used_bytes = tier().Usage().used_bytes;
  wanted.version = 1;
  auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(100);
  while (tier().Usage().blocks != 48 && std::chrono::steady_clock::now() < end) tier().Flush();
  EXPECT_EQ(tier().Usage().blocks, 48u);
  while (tier().Usage().used_bytes > used_bytes / 3 && std::chrono::steady_clock::now() < end) {
    tier().Flush();
  }
  EXPECT_LE(tier().Usage().used_bytes, used_bytes / 3);
  for (uint32_t i = 2; i < 50; ++i) ASSERT_EQ(Read({i}), 0);
  Close();
}

TEST_F(DiskTierTest, ChunksAreSpreadOverAllDirectories) {
  options_.folders = {folder_ / "a", folder_ / "b"};
  for (uint32_t i = 2; i < 1000; i += 20) FeedMany(i, i + 20);
  DiskUsage const usage = tier().Usage();
  ASSERT_EQ(usage.directories.size(), 2u);
  EXPECT_GT(usage.directories[0].blocks, 200u);
  EXPECT_GT(usage.directories[1].blocks, 200u);
}

TEST_F(DiskTierTest, AFolderThatCannotBeMadeIsRetiredAndTheOtherGoesOn) {
  std::ofstream(folder_ / "file") << "no folder";
  options_.folders = {folder_ / "file", folder_ / "b"};
  FeedMany(2, 50);
  EXPECT_EQ(tier().Usage().directories[0].state, DirectoryState::kRetired);
  for (uint32_t i = 2; i < 50; ++i) ASSERT_EQ(Read({i}), 0);
}

}  // namespace
}  // namespace stokefs::cache
