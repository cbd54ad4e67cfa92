#include "tools/dataset_lock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "tests/support/temp_dir.h"

namespace stokefs::tools {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

DatasetLock::Options Options(const testing::TempDir& dir, base::Duration wait = seconds(20)) {
  return {.source = "/data",
          .mount_point = "/mnt/one",
          .cache_dirs = {dir / "ssd0", dir / "ssd1"},
          .wait = wait};
}

TEST(DatasetLock, MakesThePrivateFolderOfTheDatasetInEveryCacheDirectory) {
  testing::TempDir dir;
  auto const lock = DatasetLock::Acquire(Options(dir));
  ASSERT_TRUE(lock) << lock.error().message;
  ASSERT_EQ((*lock)->folders().size(), 2u);
  for (const std::string& folder : (*lock)->folders()) {
    struct stat st {};
    ASSERT_EQ(stat(folder.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0700u);
  }
  EXPECT_EQ((*lock)->folders()[1], DatasetFolder(dir / "ssd1", "/data"));
}

TEST(DatasetLock, ARunningHolderIsNamedAtOnce) {
  testing::TempDir dir;
  auto const first = DatasetLock::Acquire(Options(dir));
  ASSERT_TRUE(first);
  auto const start = std::chrono::steady_clock::now();
  auto const second = DatasetLock::Acquire(Options(dir));
  ASSERT_FALSE(second);
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(5));
  EXPECT_EQ(second.error().code, std::errc::invalid_argument);
  EXPECT_NE(second.error().message.find(std::to_string(getpid())), std::string::npos);
  EXPECT_NE(second.error().message.find("/mnt/one"), std::string::npos);
}

TEST(DatasetLock, SharingOnlyASecondCacheDirectoryIsRefusedToo) {
  testing::TempDir dir;
  auto const first = DatasetLock::Acquire(Options(dir));
  ASSERT_TRUE(first);
  auto options = Options(dir);
  options.cache_dirs = {dir / "ssd2", dir / "ssd1"};
  EXPECT_FALSE(DatasetLock::Acquire(options));
}

TEST(DatasetLock, OtherDatasetsShareACacheDirectory) {
  testing::TempDir dir;
  auto const first = DatasetLock::Acquire(Options(dir));
  ASSERT_TRUE(first);
  auto options = Options(dir);
  options.source = "/other";
  EXPECT_TRUE(DatasetLock::Acquire(options));
}

TEST(DatasetLock, AnEndingHolderIsWaitedForUpToTheLimit) {
  testing::TempDir dir;
  auto const first = DatasetLock::Acquire(Options(dir));
  ASSERT_TRUE(first);
  EXPECT_FALSE(IsHolderEnding((*first)->lock_path()));
  (*first)->MarkEnding();
  EXPECT_TRUE(IsHolderEnding((*first)->lock_path()));
  auto const late = DatasetLock::Acquire(Options(dir, milliseconds(50)));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, std::errc::timed_out);
  // The wait itself tells when the holder ends: no race between the two.
  auto options = Options(dir);
  options.notice = [&](const std::string& text) {
    EXPECT_NE(text.find("waiting for process"), std::string::npos);
    (*first)->Unlock();
  };
  EXPECT_TRUE(DatasetLock::Acquire(options));
}

TEST(DatasetLock, WhatAKilledHolderLeftIsTaken) {
  testing::TempDir dir;
  std::array<int, 2> ready{};
  ASSERT_EQ(pipe(ready.data()), 0);
  pid_t const child = fork();
  if (child == 0) {
    auto const lock = DatasetLock::Acquire(Options(dir));
    (void)!write(ready[1], lock ? "+" : "-", 1);
    for (;;) pause();
  }
  char held = 0;
  ASSERT_EQ(read(ready[0], &held, 1), 1);
  ASSERT_EQ(held, '+');
  EXPECT_FALSE(DatasetLock::Acquire(Options(dir)));
  kill(child, SIGKILL);
  // It may still be dying: then it is waited for, not named as running.
  EXPECT_TRUE(DatasetLock::Acquire(Options(dir)));
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace stokefs::tools
