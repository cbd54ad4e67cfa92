#include "tools/mount_table.h"

#include <gtest/gtest.h>

namespace stokefs::tools {
namespace {

constexpr const char* kTable =
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 21 0:45 / /mnt/a\\040b\\134c ro,nosuid - fuse.stokefs /data/train ro,user_id=0\n"
    "31 21 8:1 /srv/data /srv/alias rw shared:1 master:2 - ext4 /dev/sda1 rw\n"
    "32 30 0:46 / /mnt/twice rw - tmpfs none rw\n"
    "33 32 0:47 / /mnt/twice rw - fuse.stokefs-control x rw\n"
    "no line of a mount\n"
    "34 21 nonsense / /bad rw - ext4 x rw\n";

TEST(MountTable, ReadsWhatTheKernelEscapes) {
  auto const table = MountTable::Parse(kTable);
  EXPECT_EQ(table.entries().size(), 5u);
  auto const entry = table.At("/mnt/a b\\c");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->type, kDatasetMountType);
  EXPECT_EQ(entry->source, "/data/train");
  EXPECT_EQ(entry->minor, 45u);
  EXPECT_TRUE(IsStokefs(*entry));
}

TEST(MountTable, TheLastMountOfAPathIsTheOneThatIsSeen) {
  auto const table = MountTable::Parse(kTable);
  EXPECT_EQ(table.At("/mnt/twice")->minor, 47u);
  EXPECT_TRUE(IsStokefs(*table.At("/mnt/twice")));
  EXPECT_FALSE(table.At("/mnt"));
}

TEST(MountTable, APathIsHeldByTheDeepestMountAboveIt) {
  auto const table = MountTable::Parse(kTable);
  EXPECT_EQ(table.Holding("/srv/alias/x/y")->root, "/srv/data");
  EXPECT_EQ(table.Holding("/srv/aliases")->mount_point, "/");
  EXPECT_EQ(table.Holding("/mnt/twice/x")->minor, 47u);
}

TEST(MountTable, BelowIsJudgedByWholeNames) {
  EXPECT_TRUE(IsAtOrBelow("/a/b", "/a"));
  EXPECT_TRUE(IsAtOrBelow("/a", "/a"));
  EXPECT_TRUE(IsAtOrBelow("/a", "/"));
  EXPECT_FALSE(IsAtOrBelow("/ab", "/a"));
  EXPECT_FALSE(IsAtOrBelow("/", "/a"));
}

TEST(MountTable, ThisMachinesTableHasARoot) {
  auto const table = MountTable::Read();
  ASSERT_TRUE(table);
  EXPECT_TRUE(table->At("/"));
}

}  // namespace
}  // namespace stokefs::tools
