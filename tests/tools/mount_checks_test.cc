#include "tools/mount_checks.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/temp_dir.h"
#include "tools/path_nesting.h"

namespace stokefs::tools {
namespace {

// SOURCE, MNT, a cache and a control folder, each apart.
class Places {
 public:
  Places() {
    for (const char* name : {"source/class", "mnt", "cache", "control"})
      EXPECT_TRUE(base::MakeFolders(dir_ / name));
    config.source = dir_ / "source";
    config.mount_point = dir_ / "mnt";
    config.cache_dir = {dir_ / "cache"};
    control = dir_ / "control";
  }
  std::string operator/(const std::string& name) const { return dir_ / name; }
  base::Result<CheckedPaths> Check() const { return CheckPaths(config, control); }
  // The message of the refusal, empty when there is none.
  std::string Refusal() const {
    auto const checked = Check();
    if (checked) return "";
    EXPECT_EQ(checked.error().code, std::errc::invalid_argument) << checked.error().message;
    return checked.error().message;
  }

  MountConfig config;
  std::string control;

 private:
  testing::TempDir dir_;
};

TEST(MountChecks, PlacesApartPassAndComeBackCanonical) {
  Places places;
  ASSERT_EQ(symlink("source", (places / "link").c_str()), 0);
  places.config.source = places / "link/../link";
  places.config.cache_dir = {places / "new/cache"};
  auto const checked = places.Check();
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(checked->source, places / "source");
  EXPECT_EQ(checked->control_path, places / "control");
}

TEST(MountChecks, WhatIsNotThereIsNamed) {
  Places places;
  places.config.source = places / "absent";
  EXPECT_NE(places.Refusal().find(places / "absent"), std::string::npos);
  ASSERT_TRUE(base::WriteFileAtomically(places / "file", ""));
  places.config.source = places / "file";
  EXPECT_NE(places.Refusal().find("not a folder"), std::string::npos);
  EXPECT_FALSE(CanonicalMountPoint(places / "absent"));
}

TEST(MountChecks, NothingLiesAtOrBelowTheMountPoint) {
  Places places;
  ASSERT_EQ(symlink("mnt", (places / "link").c_str()), 0);
  for (const char* below :
       {"mnt", "mnt/x", "mnt/x/y", "link/x", "cache/../mnt/x", "new/../mnt/x"}) {
    Places other;
    ASSERT_EQ(symlink("mnt", (other / "link").c_str()), 0);
    other.config.cache_dir.push_back(other / below);
    EXPECT_NE(other.Refusal().find("cache directory"), std::string::npos) << below;
  }
  places.control = places / "link/control";
  EXPECT_NE(places.Refusal().find("control mount"), std::string::npos);
  places.control = places / "control";
  places.config.log = places / "mnt/log";
  EXPECT_NE(places.Refusal().find("log"), std::string::npos);
  places.config.log.clear();
  ASSERT_TRUE(base::MakeFolders(places / "mnt/source"));
  places.config.source = places / "mnt/source";
  EXPECT_NE(places.Refusal().find("source"), std::string::npos);
}

TEST(MountChecks, TheSourceIsNeverWritten) {
  Places places;
  places.config.cache_dir = {places / "source/class/cache"};
  EXPECT_NE(places.Refusal().find("never written"), std::string::npos);
  places.config.cache_dir = {places / "source"};
  EXPECT_NE(places.Refusal().find("never written"), std::string::npos);
  places.config.cache_dir = {places / "cache"};
  places.control = places / "source/control";
  EXPECT_NE(places.Refusal().find("never written"), std::string::npos);
  places.control = places / "control";
  places.config.log = places / "source/log";
  EXPECT_NE(places.Refusal().find("never written"), std::string::npos);
}

TEST(MountChecks, APackedSourceIsCheckedByItsPath) {
  Places places;
  places.config.source = "packed:" + (places / "cache/../source");
  auto const paths = CheckPaths(places.config, places.control);
  ASSERT_TRUE(paths) << paths.error().message;
  EXPECT_EQ(paths->source, "packed:" + (places / "source"));
  places.config.cache_dir = {places / "source/cache"};
  EXPECT_NE(places.Refusal().find("never written"), std::string::npos);
  places.config.source = "packed:" + (places / "absent");
  EXPECT_NE(places.Refusal().find("does not exist"), std::string::npos);
}

TEST(MountChecks, MountingOverTheSourceIsFineBelowItIsNot) {
  Places places;
  places.config.mount_point = places / "source";
  EXPECT_EQ(places.Refusal(), "");
  places.config.mount_point = places / "source/class";
  EXPECT_NE(places.Refusal().find("within itself"), std::string::npos);
}

TEST(MountChecks, NamesThatOnlyBeginAlikeAreApart) {
  Places places;
  ASSERT_TRUE(base::MakeFolders(places / "source2"));
  ASSERT_TRUE(base::MakeFolders(places / "mnt2"));
  places.config.cache_dir = {places / "source2", places / "mnt2/cache"};
  EXPECT_EQ(places.Refusal(), "");
}

class BindMount {
 public:
  BindMount(const std::string& from, const std::string& to) : path_(to) {
    EXPECT_TRUE(base::MakeFolders(to));
    made_ = mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) == 0;
  }
  ~BindMount() {
    if (made_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool made() const { return made_; }

 private:
  std::string path_;
  bool made_ = false;
};

TEST(MountChecks, BindMountsDoNotHideWhereAPathIs) {
  Places places;
  ASSERT_TRUE(base::MakeFolders(places / "mnt/inner"));
  BindMount const whole(places / "mnt", places / "alias");
  if (!whole.made()) GTEST_SKIP() << "bind mounts need root";
  BindMount const part(places / "mnt/inner", places / "part");
  BindMount const of_source(places / "source/class", places / "class");
  for (const char* below : {"alias/cache", "alias/inner/cache", "part/cache", "class/cache"}) {
    places.config.cache_dir = {places / below};
    EXPECT_NE(places.Refusal(), "") << below;
  }
}

TEST(MountChecks, AMountPointInUseIsNamedWithWhatIsThere) {
  Places places;
  BindMount const there(places / "cache", places / "mnt");
  if (!there.made()) GTEST_SKIP() << "bind mounts need root";
  EXPECT_NE(places.Refusal().find("in use"), std::string::npos);
  // What is not ours is neither taken over nor waited for.
  Registry const registry(places / "registry");
  EXPECT_TRUE(ClearMountPoint(places / "mnt", registry, std::chrono::seconds(0),
                              [](const std::string&) {}));
}

TEST(MountChecks, AnEntryLeftByADeadDaemonIsCleared) {
  Places places;
  Registry const registry(places / "registry");
  ASSERT_TRUE(registry.Prepare());
  ASSERT_TRUE(base::MakeFolders(places / "registry/left"));
  RegistryEntry const entry{.id = MountId(places / "mnt"),
                            .pid = 0x3fffffff,  // above the largest pid there can be
                            .mount_point = places / "mnt",
                            .control_path = places / "registry/left",
                            .control_made = true};
  ASSERT_TRUE(registry.Write(entry));
  EXPECT_TRUE(ClearMountPoint(places / "mnt", registry, std::chrono::seconds(0),
                              [](const std::string&) {}));
  EXPECT_FALSE(registry.Read(entry.id));
  EXPECT_NE(access((places / "registry/left").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace stokefs::tools
