#include "tools/command_text.h"

#include <gtest/gtest.h>

#include <string>

namespace stokefs::tools {
namespace {

using Json = nlohmann::ordered_json;

TEST(CommandText, WarmupProgressTellsRateAndTimeLeft) {
  Json const progress = {
      {"phase", "fetching"},        {"samples", 100},           {"bytes", 1000 << 20},
      {"samples_there", 10},        {"bytes_there", 100 << 20}, {"samples_fetched", 40},
      {"bytes_fetched", 400 << 20}, {"samples_failed", 2},      {"seconds", 4.0}};
  EXPECT_EQ(WarmupProgressText(progress),
            "52 of 100 samples, 500.0 MiB of 1000.0 MiB, 100.0 MiB/s, 5 s left, 2 failed");
  EXPECT_EQ(WarmupProgressText({{"phase", "waiting for the first scan"}}),
            "waiting for the first scan");
}

TEST(CommandText, WhatIsMissingIsLeftOut) {
  for (auto const text :
       {RefreshProgressText, VerifyProgressText, WarmupProgressText, EvictProgressText}) {
    EXPECT_EQ(text(Json::object()), "");
    EXPECT_EQ(text(Json()), "");
  }
  for (auto const text :
       {RefreshText, VerifyText, LocateText, WarmupText, WarmupStatusText, EvictText, PinsText}) {
    EXPECT_FALSE(text(Json::object()).empty());
    EXPECT_FALSE(text(Json()).empty());
  }
}

TEST(CommandText, LocateSumsUpExtentsOfOneFile) {
  auto const extent = [](const char* file, uint64_t offset) -> Json {
    return {{"memory", true}, {"disk", {{"file", file}, {"offset", offset}, {"length", 10}}}};
  };
  Json const result = {{"path", "a/b"},
                       {"size", 40},
                       {"chunk", nullptr},
                       {"blocks",
                        {extent("/d/1", 4096),
                         extent("/d/1", 4106),
                         extent("/d/2", 4096),
                         {{"memory", false}, {"disk", nullptr}}}},
                       {"origin", "/source/a/b"}};
  std::string const text = LocateText(result);
  EXPECT_NE(text.find("/d/1 at 4096, 20 B in 2 extents\n"), text.npos) << text;
  EXPECT_NE(text.find("/d/2 at 4096, 10 B\n"), text.npos) << text;
  EXPECT_NE(text.find("memory   3 of 4 extents"), text.npos) << text;
  EXPECT_NE(text.find("on disk  3 of 4 extents"), text.npos) << text;
  EXPECT_NE(text.find("/source/a/b"), text.npos) << text;
}

TEST(CommandText, VerifyTellsDamage) {
  Json const result = {{"disk", {{"files", 3}, {"damaged_blocks", 1}, {"damaged_files", 2}}},
                       {"memory", {{"damaged", 4}}},
                       {"catalog", {{"state", "damaged"}, {"damage", "checksum of record 7"}}},
                       {"damaged", 8}};
  std::string const text = VerifyText(result);
  for (const char* part : {"1 block, 2 files, put aside", "4 blocks, forgotten",
                           "checksum of record 7", "written anew"}) {
    EXPECT_NE(text.find(part), text.npos) << text;
  }
  EXPECT_EQ(text.find("all right"), text.npos);
}

}  // namespace
}  // namespace stokefs::tools
