#include "tools/registry.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/support/temp_dir.h"

namespace stokefs::tools {
namespace {

RegistryEntry Entry(const std::string& mount_point) {
  return {.id = MountId(mount_point),
          .pid = 123,
          .start_ticks = 456,
          .mount_point = mount_point,
          .source = "/data/\xff 100%",
          .control_path = "/run/stokefs/x",
          .control_made = true,
          .cache_dirs = {"/a", "/b\n"},
          .lock_path = "/a/1/lock",
          .started_s = 1700000000,
          .connection = 45};
}

TEST(Registry, AnEntryComesBackAsItWasWithAnyBytesInItsPaths) {
  testing::TempDir dir;
  Registry const registry(dir / "stokefs");
  ASSERT_TRUE(registry.Prepare());
  RegistryEntry const entry = Entry("/mnt/odd \xf0\n name");
  ASSERT_TRUE(registry.Write(entry));
  auto const read = registry.Read(entry.id);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->pid, 123);
  EXPECT_EQ(read->start_ticks, 456u);
  EXPECT_EQ(read->mount_point, entry.mount_point);
  EXPECT_EQ(read->source, entry.source);
  EXPECT_EQ(read->control_path, entry.control_path);
  EXPECT_TRUE(read->control_made);
  EXPECT_EQ(read->cache_dirs, entry.cache_dirs);
  EXPECT_EQ(read->lock_path, entry.lock_path);
  EXPECT_EQ(read->started_s, entry.started_s);
  EXPECT_EQ(read->connection, entry.connection);
}

TEST(Registry, TheFirstToClaimAMountPointHasIt) {
  testing::TempDir dir;
  Registry const registry(dir.path());
  ASSERT_TRUE(registry.Claim(Entry("/mnt")));
  auto const second = registry.Claim(Entry("/mnt"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, std::errc::file_exists);
  registry.Remove(MountId("/mnt"));
  EXPECT_TRUE(registry.Claim(Entry("/mnt")));
  EXPECT_EQ(registry.List().size(), 1u);
}

TEST(Registry, DamagedEntriesAreLeftOut) {
  testing::TempDir dir;
  Registry const registry(dir.path());
  ASSERT_TRUE(registry.Write(Entry("/b")));
  ASSERT_TRUE(registry.Write(Entry("/a")));
  for (const char* text : {"", "{", "[]", "{\"pid\": \"x\"}", "\xff\xfe"})
    ASSERT_TRUE(base::WriteFileAtomically(dir / (MountId(text) + ".json"), text));
  auto const entries = registry.List();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].mount_point, "/a");
  EXPECT_FALSE(registry.Read(MountId("{")));
}

TEST(Registry, EntriesOfAnotherFolderAreReadButNotListed) {
  testing::TempDir dir;
  Registry const others(dir / "root");
  ASSERT_TRUE(others.Prepare());
  ASSERT_TRUE(others.Write(Entry("/mnt")));
  Registry const own(dir / "user", dir / "root");
  EXPECT_TRUE(own.Read(MountId("/mnt")));
  EXPECT_TRUE(own.List().empty());
}

TEST(Registry, IdsAre16HexadecimalDigitsOfThePath) {
  EXPECT_EQ(MountId("/mnt").size(), 16u);
  EXPECT_EQ(MountId("/mnt"), MountId("/mnt"));
  EXPECT_NE(MountId("/mnt"), MountId("/mnt2"));
  // XXH3-64 of nothing, from its specification.
  EXPECT_EQ(MountId(""), "2d06800538d394c2");
}

}  // namespace
}  // namespace stokefs::tools
