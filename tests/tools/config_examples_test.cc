// Every example in configs/ is loaded by the parser that loads the user's files.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/file.h"
#include "tools/config.h"
#include "tools/config_keys.h"

namespace stokefs::tools {
namespace {

std::vector<std::string> Examples() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(STOKEFS_CONFIGS))
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  return files;
}

TEST(ConfigExamples, EachIsLoaded) {
  ASSERT_GE(Examples().size(), 3u);
  for (const std::string& file : Examples()) {
    auto const config =
        ReadMountConfig(file, {{"source", "/data"}, {"mount-point", "/mnt"}},
                        {.working_folder = "/", .home = "/root", .memory_bytes = 1u << 30});
    EXPECT_TRUE(config) << (config ? "" : config.error().message);
  }
}

TEST(ConfigExamples, TheFullOneNamesEveryKeyAndItsDefault) {
  std::string const file = std::string(STOKEFS_CONFIGS) + "/stokefs.toml";
  auto const text = base::ReadFile(file);
  ASSERT_TRUE(text);
  for (const ConfigKey& key : ConfigKeys()) {
    std::string const line = "\n" + std::string(key.name) + " = ";
    std::string const comment = "\n# " + std::string(key.name) + " = ";
    EXPECT_TRUE(text->find(line) != std::string::npos || text->find(comment) != std::string::npos)
        << key.name;
  }
  MountConfig const defaults;
  auto const config =
      ReadMountConfig(file, {}, {.working_folder = "/", .home = "/root", .memory_bytes = 1u << 30});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->disk, defaults.disk);
  EXPECT_EQ(config->page_cache, defaults.page_cache);
  EXPECT_EQ(config->foreground, defaults.foreground);
  EXPECT_EQ(config->chunk_bytes, defaults.chunk_bytes);
  EXPECT_EQ(config->chunk_samples, defaults.chunk_samples);
  EXPECT_EQ(config->large_file_bytes, defaults.large_file_bytes);
  EXPECT_EQ(config->origin_threads, defaults.origin_threads);
  EXPECT_EQ(config->origin_queue, defaults.origin_queue);
  EXPECT_EQ(config->origin_deadline, defaults.origin_deadline);
  EXPECT_EQ(config->parked_reads, defaults.parked_reads);
  EXPECT_EQ(config->scan_threads, defaults.scan_threads);
}

}  // namespace
}  // namespace stokefs::tools
