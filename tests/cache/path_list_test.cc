#include "cache/path_list.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace stokefs::cache {
namespace {

using Paths = std::vector<std::string>;

TEST(PathList, SurvivesWithAnyBytes) {
  testing::TempDir folder;
  Paths const paths{"", "a", "a/b c", "line\nbreak", "\xff\xfe", std::string(5000, 'x')};
  ASSERT_TRUE(SavePathList(folder / "list", paths));
  EXPECT_EQ(LoadPathList(folder / "list").value().value(), paths);
  ASSERT_TRUE(SavePathList(folder / "list", {}));
  EXPECT_EQ(LoadPathList(folder / "list").value().value(), Paths());
}

TEST(PathList, NoFileIsNoList) {
  testing::TempDir folder;
  EXPECT_FALSE(LoadPathList(folder / "list").value());
  EXPECT_TRUE(RemovePathList(folder / "list"));
}

TEST(PathList, EveryFlippedByteAndEveryTruncationIsSeen) {
  std::string const whole = EncodePathList({"a/b", "c"});
  ASSERT_TRUE(ParsePathList(whole));
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] ^= 1;
    EXPECT_FALSE(ParsePathList(flipped)) << i;
    EXPECT_EQ(ParsePathList(whole.substr(0, i)).error().Errno(), EBADMSG) << i;
  }
  EXPECT_FALSE(ParsePathList(whole + "x"));
}

TEST(PathList, BelowMeansWholeComponents) {
  EXPECT_TRUE(IsAtOrBelow("a/b", "a"));
  EXPECT_TRUE(IsAtOrBelow("a", "a"));
  EXPECT_TRUE(IsAtOrBelow("a", ""));
  EXPECT_TRUE(IsAtOrBelow("", ""));
  EXPECT_FALSE(IsAtOrBelow("ab", "a"));
  EXPECT_FALSE(IsAtOrBelow("", "a"));
  EXPECT_FALSE(IsAtOrBelow("a", "a/b"));
}

TEST(PathList, NestedPathsLeaveTheOuterOnes) {
  EXPECT_EQ(WithoutNested({"a/b", "a", "a-b", "a-b/c", "b/c", "a"}), (Paths{"a", "a-b", "b/c"}));
  EXPECT_EQ(WithoutNested({"x", "", "y"}), (Paths{""}));
  EXPECT_EQ(WithoutNested({}), Paths());
}

}  // namespace
}  // namespace stokefs::cache
