#include "fs/statistics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

namespace stokefs::fs {
namespace {

using Json = nlohmann::json;

TEST(Statistics, HaveAllThatProgramsRelyOn) {
  Snapshot snapshot;
  snapshot.dataset = {"00ff", 3, 30, 1};
  snapshot.reads.samples = 4;
  snapshot.reads.memory = 3;
  snapshot.reads.origin = 1;
  snapshot.read_ahead = {.prefetched = 7, .used = 5, .wasted = 1};
  snapshot.jobs.push_back({.name = "job",
                           .root = "train",
                           .active = true,
                           .epochs = {{.index = 0, .samples = 3, .progress = 1.0}}});
  snapshot.disk.push_back({.path = "/cache", .used_bytes = 1, .budget_bytes = 2});
  snapshot.disk_tier = DiskTierSnapshot{.written = 7};
  Json const json = Json::parse(ToJson(snapshot));
  EXPECT_EQ(json.at("dataset"),
            Json({{"digest", "00ff"}, {"samples", 3}, {"bytes", 30}, {"chunks", 1}}));
  for (const char* key : {"samples", "bytes", "memory", "disk", "origin"}) {
    EXPECT_TRUE(json.at("reads").at(key).is_number_unsigned()) << key;
  }
  for (const char* key : {"prefetched", "prefetch_errors"}) EXPECT_EQ(json.at("reads").at(key), 0);
  EXPECT_EQ(json.at("read_ahead"), Json({{"prefetched", 7}, {"used", 5}, {"wasted", 1}}));
  EXPECT_DOUBLE_EQ(json.at("hit_ratio"), 0.75);
  Json const& job = json.at("jobs").at(0);
  EXPECT_EQ(job.at("name"), "job");
  EXPECT_EQ(job.at("epochs").at(0).at("plan"), "none");
  EXPECT_TRUE(job.at("epochs").at(0).at("hit_ratio").is_null());
  for (const char* key : {"reads", "bytes", "errors"}) EXPECT_EQ(json.at("origin").at(key), 0);
  EXPECT_TRUE(json.at("tiers").at("memory").contains("used_bytes"));
  EXPECT_TRUE(json.at("tiers").at("memory").contains("budget_bytes"));
  EXPECT_EQ(json.at("tiers").at("disk").at(0).at("path"), "/cache");
  EXPECT_EQ(json.at("disk").at("written"), 7);
  EXPECT_TRUE(json.at("hints").contains("accepted") && json.at("hints").contains("rejected"));
  EXPECT_TRUE(json.at("latency_us").contains("read_p50"));
  EXPECT_TRUE(json.at("latency_us").contains("read_p99"));
  for (const char* key : {"page_cache", "pid", "uptime_s", "version"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
}

TEST(Statistics, UnknownIsNullAndNotZero) {
  Json const json = Json::parse(ToJson(Snapshot{}));
  EXPECT_TRUE(json.at("dataset").at("digest").is_null());
  EXPECT_TRUE(json.at("hit_ratio").is_null());
}

TEST(Statistics, AnyBytesInAPathStillGiveValidJson) {
  Snapshot snapshot;
  snapshot.parked.push_back({.path = "a\xff\n\"b"});
  EXPECT_FALSE(Json::parse(ToJson(snapshot), nullptr, false).is_discarded());
}

TEST(Statistics, PrometheusTextHasOneTypeLineForEachMetric) {
  Snapshot snapshot;
  snapshot.disk = {{.path = "/a\"b", .used_bytes = 1, .budget_bytes = 2},
                   {.path = "/c", .used_bytes = 3, .budget_bytes = 4}};
  snapshot.disk_tier = DiskTierSnapshot{.damaged = 3};
  std::string const text = ToPrometheus(snapshot);
  EXPECT_NE(text.find("\nstokefs_disk_used_bytes{path=\"/a\\\"b\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("\nstokefs_disk_damaged_total 3\n"), std::string::npos);
  EXPECT_NE(text.find("\nstokefs_first_reads_total{tier=\"memory\"} 0\n"), std::string::npos);
  std::istringstream lines(text);
  std::set<std::string> typed;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      std::string const name = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(typed.insert(name).second) << name;
    } else if (!line.starts_with("#")) {
      EXPECT_TRUE(typed.contains(line.substr(0, line.find_first_of(" {")))) << line;
    }
  }
}

}  // namespace
}  // namespace stokefs::fs
