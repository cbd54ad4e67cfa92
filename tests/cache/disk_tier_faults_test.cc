// Bad days of a disk, and of the machine.
#include <filesystem>
#include <random>

#include "tests/cache/disk_tier_fixture.h"
#include "tests/support/faulty_storage.h"

namespace stokefs::cache {
namespace {

using testing::StorageCall;

class DiskTierFaultsTest : public DiskTierTest {
 protected:
  // From now on the tier writes through a new faulty disk.
  testing::FaultyStorage& UseFaultyDisk(uint64_t seed = 1) {
    Close();
    faulty_ = std::make_unique<testing::FaultyStorage>(real_storage_, seed);
    storage_ = faulty_.get();
    return *faulty_;
  }
  void UseRealDisk() {
    Close();
    storage_ = &real_storage_;
  }
  ~DiskTierFaultsTest() override { Close(); }

  std::unique_ptr<testing::FaultyStorage> faulty_;
};

TEST_F(DiskTierFaultsTest, ADiskThatIsFullFromTheFirstByteCostsNoRead) {
  UseFaultyDisk().SetCapacity(0);
  FeedMany(2, 200);
  for (uint32_t i = 2; i < 200; ++i) ASSERT_EQ(Read({i}), ENOENT);
  EXPECT_EQ(tier().Usage().directories[0].state, DirectoryState::kFull);
  EXPECT_EQ(tier().Usage().used_bytes, 0u);
  EXPECT_EQ(tier().Statistics().skipped.Value(), 198u);
  UseRealDisk();
  Read({2});
  EXPECT_EQ(tier().Usage().used_bytes, 0u);
  EXPECT_EQ(BytesOnDisk(), 0u);
}

TEST_F(DiskTierFaultsTest, ADiskThatFillsUpInAFileLeavesNothingOfIt) {
  UseFaultyDisk().SetCapacity(300'000);
  FeedMany(2, 400);
  size_t here = 0;
  for (uint32_t i = 2; i < 400; ++i) {
    int const error = Read({i});
    ASSERT_TRUE(error == 0 || error == ENOENT) << error;
    here += error == 0 ? 1 : 0;
  }
  EXPECT_GT(here, 50u);
  EXPECT_EQ(tier().Usage().used_bytes, BytesOnDisk());
  EXPECT_TRUE(Files(".new").empty());
}

TEST_F(DiskTierFaultsTest, AReadOnlyDiskIsRetiredAndStillRead) {
  testing::FaultyStorage& disk = UseFaultyDisk();
  FeedMany(2, 100);
  disk.SetReadOnly();
  FeedMany(100, 200);
  EXPECT_EQ(tier().Usage().directories[0].state, DirectoryState::kRetired);
  for (uint32_t i = 2; i < 100; ++i) ASSERT_EQ(Read({i}), 0);
  for (uint32_t i = 100; i < 200; ++i) ASSERT_EQ(Read({i}), ENOENT);
}

TEST_F(DiskTierFaultsTest, OneFailedWriteGoesToTheOtherDirectory) {
  options_.folders = {folder_ / "a", folder_ / "b"};
  testing::FaultyStorage& disk = UseFaultyDisk();
  Read({2});
  disk.FailNth(StorageCall::kWriteNew, 1, EIO);
  FeedMany(2, 200);
  for (uint32_t i = 2; i < 200; ++i) ASSERT_EQ(Read({i}), 0);
  EXPECT_EQ(tier().Statistics().skipped.Value(), 0u);
}

TEST_F(DiskTierFaultsTest, WhatCannotBeOpenedIsReadFromTheOriginAndNeverWrong) {
  testing::FaultyStorage& disk = UseFaultyDisk();
  FeedMany(2, 100);
  Close();
  Read({2});
  disk.FailAll(StorageCall::kOpenToRead, EIO);
  for (uint32_t i = 50; i < 100; ++i) ASSERT_GE(Read({i}), 0) << i;
  disk.FailAll(StorageCall::kOpenToRead, 0);
  FeedMany(2, 100);
  for (uint32_t i = 2; i < 100; ++i) ASSERT_EQ(Read({i}), 0) << i;
}

TEST_F(DiskTierFaultsTest, ACrashAtAnyChangeCostsNoWrongByteAndNoBudget) {
  uint64_t const seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 25; ++round) {
    testing::FaultyStorage& disk = UseFaultyDisk(random());
    if (round % 2 == 1) disk.SetSyncsLost();
    disk.StopAtChange(1 + random() % 40);
    auto const first = static_cast<uint32_t>(2 + random() % 800);
    FeedMany(first, first + 150);
    Close();
    disk.Crash();
    UseRealDisk();
    for (uint32_t i = 2; i < 1000; i += 1 + static_cast<uint32_t>(random() % 5)) {
      int const error = Read({i});
      ASSERT_TRUE(error == 0 || error == ENOENT || error == EBADMSG || error == EIO) << error;
    }
    ASSERT_EQ(tier().Usage().used_bytes, BytesOnDisk());
    ASSERT_LE(tier().Usage().used_bytes, kBudget);
    ASSERT_TRUE(Files(".new").empty());
  }
}

TEST_F(DiskTierFaultsTest, ADirectoryThatHangsInAWriteHoldsUpNeitherReadsNorTheOther) {
  options_.folders = {folder_ / "a", folder_ / "b"};
  testing::FaultyStorage& disk = UseFaultyDisk();
  FeedMany(2, 100);
  std::atomic<bool> release{false};
  std::string const hung = folder_ / "a";
  disk.SetHook([&](StorageCall call, const std::string& path) {
    if (call != StorageCall::kWriteNew || !path.starts_with(hung)) return;
    release.wait(false);
  });
  for (uint32_t i = 100; i < 600; ++i) {
    Feed({i});
    if (i % 40 == 39) tier().Flush(std::chrono::milliseconds(100));
  }
  for (uint32_t i = 2; i < 100; ++i) ASSERT_EQ(Read({i}), 0);
  EXPECT_GT(tier().Usage().directories[1].blocks, 300u);
  release = true;
  release.notify_all();
  tier().Flush();
  for (uint32_t i = 100; i < 600; ++i) {
    int const error = Read({i});
    ASSERT_TRUE(error == 0 || error == ENOENT);
  }
  Close();
}

TEST_F(DiskTierFaultsTest, ADirectoryThatHangsAtTheStartHoldsUpReadsForSecondsOnly) {
  options_.folders = {folder_ / "a", folder_ / "b"};
  FeedMany(2, 400);
  std::atomic<bool> release{false};
  std::string const hung = folder_ / "a";
  testing::FaultyStorage& disk = UseFaultyDisk();
  disk.SetHook([&](StorageCall call, const std::string& path) {
    if (call == StorageCall::kListFolders && path.starts_with(hung)) release.wait(false);
  });
  size_t here = 0;
  for (uint32_t i = 2; i < 400; ++i) {
    int const error = Read({i});
    ASSERT_TRUE(error == 0 || error == ENOENT) << error;
    here += error == 0 ? 1 : 0;
  }
  EXPECT_GT(here, 50u);
  EXPECT_LT(here, 398u);
  EXPECT_EQ(tier().Usage().directories[0].state, DirectoryState::kRetired);
  release = true;
  release.notify_all();
  Close();
}

TEST_F(DiskTierFaultsTest, TheOnlyDirectoryHangsAtTheStartAndReadsGoOn) {
  std::atomic<bool> release{false};
  testing::FaultyStorage& disk = UseFaultyDisk();
  disk.SetHook([&](StorageCall call, const std::string&) {
    if (call == StorageCall::kListFolders) release.wait(false);
  });
  for (uint32_t i = 2; i < 50; ++i) ASSERT_EQ(Read({i}), ENOENT) << i;
  EXPECT_FALSE(tier().Holds({{2}}));
  EXPECT_FALSE(tier().WantsPause());
  release = true;
  release.notify_all();
  Close();
}

}  // namespace
}  // namespace stokefs::cache
