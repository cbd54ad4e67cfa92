// Every example in configs/ is loaded by the parser that loads the user's files.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

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

// "(default: 8)" in the help of a key.
std::string DefaultOf(const ConfigKey& key) {
  std::string const help(key.help);
  size_t const at = help.find("(default: ");
  if (at == std::string::npos) return "";
  std::string const value = help.substr(at + 10, help.find(')', at) - at - 10);
  // Defaults that depend on the machine are sentences.
  return value.find_first_of(" $/") == std::string::npos ? value : "";
}

TEST(ConfigExamples, TheHelpTellsTheSameDefaults) {
  auto const text = base::ReadFile(std::string(STOKEFS_CONFIGS) + "/stokefs.toml");
  ASSERT_TRUE(text);
  int told = 0;
  for (const ConfigKey& key : ConfigKeys()) {
    std::string const value = DefaultOf(key);
    if (value.empty()) continue;
    ++told;
    std::string const line = "\n" + std::string(key.name) + " = ";
    EXPECT_TRUE(text->find(line + value + "\n") != std::string::npos ||
                text->find(line + "\"" + value + "\"") != std::string::npos)
        << key.name << " " << value;
  }
  EXPECT_GE(told, 9);
}

}  // namespace
}  // namespace stokefs::tools
