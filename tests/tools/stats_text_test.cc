#include "tools/stats_text.h"

#include <gtest/gtest.h>

namespace stokefs::tools {
namespace {

constexpr const char* kStats = R"({
 "dataset": {"digest": "00ff", "samples": 60000, "bytes": 36000000, "chunks": 13},
 "reads": {"samples": 1000, "bytes": 600000, "memory": 750, "disk": 0, "origin": 250},
 "read_ahead": {"prefetched": 1200, "used": 1100, "wasted": 50},
 "hit_ratio": 0.75,
 "jobs": [{"name": "python3", "root": "train", "active": true,
           "epochs": [{"index": 0, "samples": 1000, "progress": 0.5, "hit_ratio": null,
                       "plan": "recognised"}]}],
 "origin": {"reads": 250, "bytes": 150000, "errors": 2},
 "tiers": {"memory": {"used_bytes": 1048576, "budget_bytes": 4194304},
           "disk": [{"path": "/ssd0", "used_bytes": 0, "budget_bytes": 0}]},
 "hints": {"accepted": 1, "rejected": 0},
 "latency_us": {"read_p50": 12, "read_p99": 3400},
 "scan": {"state": "scanning", "loaded": false, "folders": 12, "folders_listed": 5,
          "samples": 60000, "bytes": 1, "errors": 0},
 "parked": [{"path": "train/1.png", "reader": 77, "offset": 4096, "waited_ms": 1500}],
 "page_cache": "auto", "pid": 42, "uptime_s": 61, "version": "0.1.0"})";

TEST(StatsText, SaysWhatAPersonAsksFor) {
  auto const text = StatsText("/mnt", kStats);
  ASSERT_TRUE(text);
  for (const char* part :
       {"/mnt, process 42, up 1 min 1 s", "60,000 samples, 34.3 MiB, 13 chunks, digest 00ff",
        "5 of 12 folders", "memory 750 (75.0%)", "origin 250 (25.0%)", "hit ratio  0.750",
        "p50 12 us, p99 3.4 ms", "read-ahead 1,200 blocks, 1,100 used, 50 wasted",
        "250 reads, 146.5 KiB, 2 errors", "1.0 MiB of 4.0 MiB (25.0%)", "/ssd0", "page cache auto",
        "python3 train", "50.0%", "recognised", "1 reads wait", "train/1.png at 4096 for 77"})
    EXPECT_NE(text->find(part), std::string::npos) << part << " in\n" << *text;
}

TEST(StatsText, RatesComeFromTheAnswerBefore) {
  auto const text =
      StatsText("/mnt", R"({"reads": {"samples": 3000}})", R"({"reads": {"samples": 1000}})", 2);
  EXPECT_NE(text->find("3,000 samples (1,000/s)"), std::string::npos) << *text;
}

TEST(StatsText, WhatIsMissingOrOfAnotherTypeIsLeftOut) {
  for (const char* stats :
       {"{}", R"({"jobs": 3, "tiers": [], "reads": {"samples": "x", "memory": null}})",
        R"({"jobs": [1, {"epochs": [null]}], "parked": [{}, 2], "dataset": null})",
        R"({"tiers": {"disk": [[]], "memory": 1}, "uptime_s": "y", "scan": {"state": 4}})"})
    EXPECT_TRUE(StatsText("/mnt", stats, "{]", 1)) << stats;
  EXPECT_FALSE(StatsText("/mnt", "no JSON"));
  EXPECT_FALSE(StatsText("/mnt", ""));
}

}  // namespace
}  // namespace stokefs::tools
