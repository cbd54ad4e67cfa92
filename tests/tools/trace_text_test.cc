#include "tools/trace_text.h"

#include <gtest/gtest.h>

#include <random>

namespace stokefs::tools {
namespace {

RecordedTrace Example() {
  std::vector<uint32_t> const chunk_sizes = {3, 2};
  RecordedTrace recorded{.memory_bytes = 1000, .disk_bytes = 7, .origin_parallel = 32};
  recorded.shape.emplace(chunk_sizes, std::vector<uint32_t>{10, 20, 30, 40, 4'000'000'000});
  Trace& trace = recorded.trace;
  trace.job_count = cache::kJobCountMax;
  trace.traits.resize(cache::kJobCountMax);
  trace.traits[2] = {.is_weighted = true, .scope = {true, false, true, true, false}};
  trace.weights = {0.5f, 1, 1e-9f, 3.25f, 0};
  trace.samples = {0, 4, 2, 2, 1};
  trace.jobs = {0, 0, 2, 0, 2};
  trace.epochs = {{0, {0}}, {2, {2}}, {3, {0}}};
  TracedEpoch epoch{.index = 4, .progress = 0.25, .seconds = 1.5, .thought_s = 0.75};
  epoch.by_tier[1] = {.read_count = 3, .waited_s = 0};
  epoch.by_tier[4] = {.read_count = 2, .waited_s = 0.125};
  recorded.jobs = {{.index = {0}, .name = "a\"\n\xff", .root = "", .epochs = {epoch, epoch}},
                   {.index = {2}, .name = "b", .root = "train", .epochs = {epoch}}};
  return recorded;
}

TEST(TraceText, WhatIsWrittenIsReadBack) {
  RecordedTrace const before = Example();
  auto const after = ParseTraceText(TraceText(before));
  ASSERT_TRUE(after.has_value()) << after.error().message;
  EXPECT_EQ(after->memory_bytes, 1000u);
  EXPECT_EQ(after->disk_bytes, 7u);
  EXPECT_EQ(after->origin_parallel, 32u);
  ASSERT_TRUE(after->shape.has_value());
  EXPECT_EQ(after->shape->chunk_count(), 2u);
  for (uint32_t i = 0; i < 5; ++i) EXPECT_EQ(after->shape->SizeOf({i}), before.shape->SizeOf({i}));
  EXPECT_EQ(after->trace.samples, before.trace.samples);
  EXPECT_EQ(after->trace.jobs, before.trace.jobs);
  EXPECT_EQ(after->trace.weights, before.trace.weights);
  ASSERT_EQ(after->trace.epochs.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(after->trace.epochs[i].position, before.trace.epochs[i].position);
    EXPECT_EQ(after->trace.epochs[i].job, before.trace.epochs[i].job);
  }
  EXPECT_TRUE(after->trace.traits[2].is_weighted);
  EXPECT_EQ(after->trace.traits[2].scope, before.trace.traits[2].scope);
  EXPECT_TRUE(after->trace.traits[0].scope.empty());
  ASSERT_EQ(after->jobs.size(), 2u);
  EXPECT_EQ(after->jobs[1].root, "train");
  TracedEpoch const& epoch = after->jobs[0].epochs[1];
  EXPECT_EQ(epoch.index, 4u);
  EXPECT_EQ(epoch.thought_s, 0.75);
  EXPECT_EQ(epoch.ReadCount(), 5u);
  EXPECT_EQ(epoch.HitCount(), 3u);
  EXPECT_EQ(epoch.WaitedSeconds(), 0.125);
}

TEST(TraceText, AMountWithoutAJobHasAnEmptyTrace) {
  auto const parsed = ParseTraceText(TraceText({.memory_bytes = 5}));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_FALSE(parsed->shape.has_value());
  EXPECT_TRUE(parsed->jobs.empty());
  EXPECT_EQ(parsed->memory_bytes, 5u);
}

TEST(TraceText, ErrorsNameTheLine) {
  std::string const good = TraceText(Example());
  auto const error_of = [](const std::string& text) {
    auto const parsed = ParseTraceText(text);
    EXPECT_FALSE(parsed.has_value());
    return parsed ? "" : parsed.error().message;
  };
  EXPECT_NE(error_of("").find("empty"), std::string::npos);
  EXPECT_NE(error_of("{}\n").find("line 1"), std::string::npos);
  EXPECT_NE(error_of("no json\n").find("line 1"), std::string::npos);
  EXPECT_NE(error_of(good + "reads 0: 5\n").find("no such sample"), std::string::npos);
  EXPECT_NE(error_of(good + "reads 9: 1\n").find("line 5: no such job"), std::string::npos);
  EXPECT_NE(error_of(good + "what\n").find("line 5"), std::string::npos);
  EXPECT_NE(error_of(good.substr(0, good.find('\n') + 1)).find("chunk"), std::string::npos);
}

// Any bytes end in an error or in a trace, and never otherwise.
TEST(TraceText, DamagedTextsAreRefusedOrRead) {
  std::string const good = TraceText(Example());
  std::mt19937 dice(17);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = good;
    for (unsigned flips = 1 + dice() % 4; flips > 0; --flips)
      text[dice() % text.size()] = static_cast<char>(dice());
    if (dice() % 4 == 0) text.resize(dice() % text.size());
    auto const parsed = ParseTraceText(text);
    if (!parsed) continue;
    for (uint32_t const sample : parsed->trace.samples)
      EXPECT_LT(sample, parsed->shape->sample_count());
  }
}

}  // namespace
}  // namespace stokefs::tools
