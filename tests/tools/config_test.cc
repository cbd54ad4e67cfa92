#include "tools/config.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "tests/support/temp_dir.h"
#include "tools/config_keys.h"
#include "tools/mount_options.h"

namespace stokefs::tools {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

Surroundings Here() {
  return {.working_folder = "/work",
          .home = "/home/ada",
          .xdg_cache_home = "",
          .is_root = false,
          .memory_bytes = 16 * kGiB};
}

const std::vector<Flag> kPlaces = {{"source", "/data"}, {"mount-point", "/mnt"}};

base::Result<MountConfig> Read(std::vector<Flag> flags, const std::string& toml_file = "") {
  flags.insert(flags.begin(), kPlaces.begin(), kPlaces.end());
  return ReadMountConfig(toml_file, flags, Here());
}

class ConfigFile {
 public:
  explicit ConfigFile(std::string_view text) {
    EXPECT_TRUE(base::WriteFileAtomically(path(), text));
  }
  std::string path() const { return dir_ / "train.toml"; }
  const std::string& folder() const { return dir_.path(); }

 private:
  testing::TempDir dir_;
};

TEST(Config, DefaultsAreThoseOfTheUsageLine) {
  auto const config = Read({});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->memory, 4 * kGiB);
  EXPECT_EQ(config->disk, 100 * kGiB);
  EXPECT_EQ(config->page_cache, cache::PageCacheMode::kAuto);
  EXPECT_EQ(config->cache_dir, std::vector<std::string>{"/home/ada/.cache/stokefs"});
}

TEST(Config, TheDefaultCacheFollowsTheUser) {
  Surroundings here = Here();
  here.xdg_cache_home = "/fast/cache";
  EXPECT_EQ(ReadMountConfig("", kPlaces, here)->cache_dir[0], "/fast/cache/stokefs");
  here.is_root = true;
  EXPECT_EQ(ReadMountConfig("", kPlaces, here)->cache_dir[0], "/var/cache/stokefs");
  here = Here();
  here.home.clear();
  EXPECT_FALSE(ReadMountConfig("", kPlaces, here));
}

TEST(Config, MemoryIsAtMostHalfOfTheMachines) {
  Surroundings here = Here();
  here.memory_bytes = 6 * kGiB;
  EXPECT_EQ(ReadMountConfig("", kPlaces, here)->memory, 3 * kGiB);
  EXPECT_TRUE(Read({{"memory", "8GiB"}}));
  auto const more = Read({{"memory", "8.1GiB"}});
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().message.find("half"), std::string::npos);
}

TEST(Config, TheFileHasTheFlagsNamesWithEitherDash) {
  ConfigFile const file(R"(
source = "set"
cache_dir = ["/ssd0/c", "c1"]
memory = "1GiB"
disk = 4096
page-cache = "drop"
log = "/var/log/stokefs.log"
option = ["allow_other", "noatime"]
foreground = true
chunk-samples = 12
large_file_bytes = "2MiB"
origin-deadline = "1.5s"
)");
  auto const config = ReadMountConfig(file.path(), {{"mount-point", "mnt"}}, Here());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->source, file.folder() + "/set");
  EXPECT_EQ(config->mount_point, "/work/mnt");
  EXPECT_EQ(config->cache_dir, (std::vector<std::string>{"/ssd0/c", file.folder() + "/c1"}));
  EXPECT_EQ(config->memory, kGiB);
  EXPECT_EQ(config->disk, 4096u);
  EXPECT_EQ(config->page_cache, cache::PageCacheMode::kDrop);
  EXPECT_EQ(config->option, (std::vector<std::string>{"allow_other", "noatime"}));
  EXPECT_TRUE(config->foreground);
  EXPECT_EQ(config->chunk_samples, 12u);
  EXPECT_EQ(config->large_file_bytes, 2u << 20);
  EXPECT_EQ(config->origin_deadline, std::chrono::milliseconds(1500));
}

TEST(Config, FlagsOverrideTheFile) {
  ConfigFile const file("memory = \"1GiB\"\ndisk = \"1TB\"\ncache-dir = [\"/a\", \"/b\"]\n");
  auto const config =
      Read({{"memory", "2GiB"}, {"cache_dir", "/c"}, {"cache-dir", "./d/"}}, file.path());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->memory, 2 * kGiB);
  EXPECT_EQ(config->disk, 1'000'000'000'000u);
  EXPECT_EQ(config->cache_dir, (std::vector<std::string>{"/c", "/work/d"}));
}

TEST(Config, AMistakeInTheFileIsToldWithLineAndKey) {
  struct Case {
    const char* text;
    std::vector<const char*> words;
  };
  for (const Case& c : {Case{"\n\nmemry = 1", {"train.toml:3", "memry", "no such key"}},
                        {"memory = true", {"train.toml:1", "memory", "size"}},
                        {"memory = 1.5", {"memory", "size"}},
                        {"memory = -1", {"memory", "-1"}},
                        {"memory = \"4 gigs\"", {"train.toml:1", "memory", "4 gigs"}},
                        {"memory = [\"1GiB\"]", {"memory"}},
                        {"[memory]\nx = 1", {"train.toml:1", "memory"}},
                        {"memory = ", {"train.toml:1"}},
                        {"memory = \"1GiB\"\nmemory = \"2GiB\"", {"train.toml:2"}},
                        {"cache-dir = \"/a\"\ncache_dir = \"/b\"", {"twice"}},
                        {"cache-dir = []", {"cache-dir", "empty"}},
                        {"cache-dir = [1]", {"cache-dir", "strings"}},
                        {"cache-dir = [\"/a\", \"/a\"]", {"/a", "twice"}},
                        {"page-cache = \"sometimes\"", {"page-cache", "keep, drop, auto"}},
                        {"page-cache = 7", {"page-cache", "string"}},
                        {"foreground = \"yes\"", {"foreground", "true or false"}},
                        {"scan-threads = 0", {"scan-threads", "1 to 256"}},
                        {"scan-threads = \"8\"", {"scan-threads", "whole number"}},
                        {"parked-reads = 99999999999", {"parked-reads"}},
                        {"origin-deadline = 30", {"origin-deadline", "30s"}},
                        {"origin-deadline = \"0\"", {"origin-deadline", "at least"}},
                        {"option = \"dev\"", {"option", "dev"}},
                        {"log = \"\"", {"log", "empty"}},
                        {"log = \"a\\u0000b\"", {"log", "zero byte"}}}) {
    ConfigFile const file(c.text);
    auto const config = Read({}, file.path());
    ASSERT_FALSE(config) << c.text;
    const std::string& message = config.error().message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const char* word : c.words) EXPECT_NE(message.find(word), std::string::npos) << message;
  }
}

TEST(Config, AMistakeInAFlagIsToldWithItsName) {
  for (const Flag& flag : std::vector<Flag>{{"memory", "lots"},
                                            {"memory", ""},
                                            {"memory", "1023KiB"},
                                            {"disk", "-1"},
                                            {"page-cache", "KEEP"},
                                            {"cache-dir", ""},
                                            {"chunk-bytes", "1"},
                                            {"origin-threads", "many"},
                                            {"no-such-flag", "1"}}) {
    auto const config = Read({flag});
    ASSERT_FALSE(config) << flag.name << " " << flag.value;
    EXPECT_NE(config.error().message.find("--" + flag.name), std::string::npos);
  }
}

TEST(Config, APackedSourceKeepsItsPrefixAndItsPathBecomesAbsolute) {
  auto const source = [](const std::string& text) {
    auto const config = ReadMountConfig("", {{"source", text}, {"mount-point", "/mnt"}}, Here());
    return config ? config->source : config.error().message;
  };
  std::string const here = Here().working_folder;
  EXPECT_EQ(source("packed:/a/./out/"), "packed:/a/out");
  EXPECT_EQ(source("packed:out"), "packed:" + here + "/out");
  EXPECT_EQ(source("./packed:out"), here + "/packed:out");
  EXPECT_NE(source("packed:").find("SOURCE is missing"), std::string::npos);
}

TEST(Config, SourceAndMountPointAreNeeded) {
  EXPECT_FALSE(ReadMountConfig("", {{"source", "/data"}}, Here()));
  EXPECT_FALSE(ReadMountConfig("", {{"mount-point", "/mnt"}}, Here()));
  EXPECT_FALSE(Read({}, "/nowhere/train.toml"));
}

TEST(Config, EveryKeyIsFoundUnderBothSpellings) {
  EXPECT_EQ(FindConfigKey("cache_dir"), FindConfigKey("cache-dir"));
  EXPECT_NE(FindConfigKey("cache_dir"), nullptr);
  EXPECT_EQ(FindConfigKey("cachedir"), nullptr);
}

TEST(MountOptions, KernelOptionsAreKeptAndThoseOfFstabLeftOut) {
  auto const options = ParseMountOptions(
      "defaults,_netdev,noauto,nofail,x-systemd.automount,user,allow_other,,noatime,fsname=set,ro");
  ASSERT_TRUE(options);
  EXPECT_EQ(*options, (std::vector<std::string>{"allow_other", "noatime", "fsname=set", "ro"}));
}

TEST(MountOptions, OthersAreRefusedByName) {
  for (const char* text : {"rw", "subtype=x", "subtype", "suid", "dev", "exec",
                           "fsname=", "direct_io", "allow_other=1", "ro ", "max_read=4096",
                           "auto_unmount", "fd=3", "rootmode=40000", "user_id=0", "blkdev"}) {
    auto const options = ParseMountOptions(std::string("noatime,") + text);
    ASSERT_FALSE(options) << text;
    EXPECT_NE(options.error().message.find(text), std::string::npos) << options.error().message;
  }
}

}  // namespace
}  // namespace stokefs::tools
