#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>

#include "tests/support/temp_dir.h"

namespace stokefs::base {
namespace {

TEST(File, AtomicWriteReplacesTheWholeFileAndLeavesNothingBeside) {
  testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "a longer first text"));
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "second"));
  EXPECT_EQ(ReadFile(dir / "f").value(), "second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(File, ReadAtStopsAtTheEndOfTheFile) {
  testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "0123456789"));
  UniqueFd const fd(open((dir / "f").c_str(), O_RDONLY));
  std::array<std::byte, 8> piece{};
  EXPECT_EQ(ReadAt(fd.Get(), piece, 0).value(), 8u);
  EXPECT_EQ(ReadAt(fd.Get(), piece, 7).value(), 3u);
  EXPECT_EQ(ReadAt(fd.Get(), piece, 100).value(), 0u);
}

TEST(File, ReadFileRefusesMoreThanAsked) {
  testing::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir / "f", "0123456789"));
  EXPECT_EQ(ReadFile(dir / "f", 9).error().Errno(), EFBIG);
  EXPECT_EQ(ReadFile(dir / "absent").error().Errno(), ENOENT);
}

TEST(File, MakeFoldersMakesAllAndAcceptsExistingOnes) {
  testing::TempDir dir;
  ASSERT_TRUE(MakeFolders(dir / "a/b/c", 0700));
  ASSERT_TRUE(MakeFolders(dir / "a/b/c"));
  struct stat st {};
  ASSERT_EQ(stat((dir / "a/b").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  ASSERT_TRUE(WriteFileAtomically(dir / "f", ""));
  EXPECT_EQ(MakeFolders(dir / "f/g").error().Errno(), ENOTDIR);
}

TEST(UniqueFd, MovesAndCloses) {
  UniqueFd first(open("/dev/null", O_RDONLY));
  int const raw = first.Get();
  UniqueFd second = std::move(first);
  EXPECT_EQ(second.Get(), raw);
  second.Reset();
  EXPECT_EQ(fcntl(raw, F_GETFD), -1);
}

}  // namespace
}  // namespace stokefs::base
