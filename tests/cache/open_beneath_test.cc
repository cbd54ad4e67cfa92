#include "cache/open_beneath.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "tests/support/temp_dir.h"

namespace stokefs::cache {
namespace {

using base::UniqueFd;

class OpenBeneathTest : public ::testing::Test {
 protected:
  OpenBeneathTest() : folder_(open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY)) {}

  void WriteFile(const std::string& name, const std::string& bytes) {
    UniqueFd const fd(open((dir_ / name).c_str(), O_WRONLY | O_CREAT, 0644));
    ASSERT_TRUE(base::WriteAll(fd.Get(), bytes));
  }
  int ErrorOf(const std::string& path, int flags = O_RDONLY) {
    auto const opened = OpenBeneath(folder_.Get(), path, flags);
    return opened ? 0 : opened.error().Errno();
  }

  testing::TempDir dir_;
  UniqueFd folder_;
};

TEST_F(OpenBeneathTest, FileInAFolderIsRead) {
  std::filesystem::create_directory(dir_ / "a");
  WriteFile("a/b", "bytes");
  auto const file = OpenBeneath(folder_.Get(), "a/b", O_RDONLY);
  ASSERT_TRUE(file) << file.error().message;
  std::byte bytes[8];
  EXPECT_EQ(base::ReadAt(file->Get(), bytes, 0).value(), 5u);
  EXPECT_NE(fcntl(file->Get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(OpenBeneathTest, EmptyPathIsTheFolderItself) {
  auto const file = OpenBeneath(folder_.Get(), "", O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(file);
  struct stat one {
  }, other{};
  fstat(file->Get(), &one);
  fstat(folder_.Get(), &other);
  EXPECT_EQ(one.st_ino, other.st_ino);
}

TEST_F(OpenBeneathTest, LinksAreNeverFollowed) {
  WriteFile("target", "x");
  std::filesystem::create_directory(dir_ / "real");
  WriteFile("real/file", "x");
  std::filesystem::create_symlink("target", dir_ / "link");
  std::filesystem::create_symlink("real", dir_ / "way");
  EXPECT_EQ(ErrorOf("link"), ELOOP);
  EXPECT_EQ(ErrorOf("way/file"), ELOOP);
  EXPECT_EQ(ErrorOf("way", O_RDONLY | O_DIRECTORY), ENOTDIR);
}

TEST_F(OpenBeneathTest, NothingLeadsOut) {
  EXPECT_EQ(ErrorOf("../etc"), EXDEV);
  EXPECT_EQ(ErrorOf("/etc/passwd"), EXDEV);
}

TEST_F(OpenBeneathTest, WhatIsMissingSaysSo) {
  WriteFile("file", "x");
  EXPECT_EQ(ErrorOf("gone"), ENOENT);
  EXPECT_EQ(ErrorOf("file/below"), ENOTDIR);
  EXPECT_EQ(ErrorOf(std::string(300, 'n')), ENAMETOOLONG);
  EXPECT_EQ(ErrorOf(std::string(9000, 'n')), ENAMETOOLONG);
}

TEST_F(OpenBeneathTest, PathLongerThanPathMaxIsWalkedInPieces) {
  std::string const name(255, 'd');
  std::string path;
  UniqueFd at(dup(folder_.Get()));
  for (int i = 0; i < 60; ++i) {
    ASSERT_EQ(mkdirat(at.Get(), name.c_str(), 0755), 0);
    at = UniqueFd(openat(at.Get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    path += name + "/";
  }
  UniqueFd const made(openat(at.Get(), "leaf", O_WRONLY | O_CREAT, 0644));
  ASSERT_TRUE(made.Valid());
  auto const leaf = OpenBeneath(folder_.Get(), path + "leaf", O_RDONLY);
  ASSERT_TRUE(leaf) << leaf.error().message;
  ASSERT_EQ(symlinkat("leaf", at.Get(), "link"), 0);
  EXPECT_EQ(ErrorOf(path + "link"), ELOOP);
  EXPECT_EQ(ErrorOf(path + "gone"), ENOENT);
}

}  // namespace
}  // namespace stokefs::cache
