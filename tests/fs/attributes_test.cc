#include "fs/attributes.h"

#include <gtest/gtest.h>

namespace stokefs::fs {
namespace {

TEST(Attributes, BlockSizeCoversASmallFileInOneRead) {
  struct Case {
    uint64_t size_bytes;
    blksize_t block_size;
  };
  for (Case c : {Case{0, 4096}, Case{1, 4096}, Case{4096, 4096}, Case{4097, 8192},
                 Case{112'000, 131'072}, Case{1u << 20, 1 << 20}, Case{5ull << 30, 1 << 20}}) {
    EXPECT_EQ(StatOf({.size_bytes = c.size_bytes}).st_blksize, c.block_size) << c.size_bytes;
  }
}

TEST(Attributes, TimesBefore1970KeepTheirNanoseconds) {
  struct stat const st = StatOf({.mtime_ns = -1});
  EXPECT_EQ(st.st_mtim.tv_sec, -1);
  EXPECT_EQ(st.st_mtim.tv_nsec, 999'999'999);
}

TEST(Attributes, EveryTypeHasItsBits) {
  EXPECT_TRUE(S_ISREG(StatOf({.type = cache::FileType::kRegular}).st_mode));
  EXPECT_TRUE(S_ISDIR(StatOf({.type = cache::FileType::kFolder}).st_mode));
  EXPECT_TRUE(S_ISLNK(StatOf({.type = cache::FileType::kSymlink}).st_mode));
  EXPECT_TRUE(S_ISFIFO(StatOf({.type = cache::FileType::kFifo}).st_mode));
  EXPECT_TRUE(S_ISSOCK(StatOf({.type = cache::FileType::kSocket}).st_mode));
  EXPECT_TRUE(S_ISCHR(StatOf({.type = cache::FileType::kCharDevice}).st_mode));
  EXPECT_TRUE(S_ISBLK(StatOf({.type = cache::FileType::kBlockDevice}).st_mode));
}

TEST(Attributes, TheControlLinkIsNoNode) {
  EXPECT_EQ(NodeOf(kControlLink), cache::kNoNode);
  EXPECT_EQ(NodeOf(FUSE_ROOT_ID), cache::kRootNode);
}

}  // namespace
}  // namespace stokefs::fs
