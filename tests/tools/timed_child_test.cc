#include "tools/timed_child.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>

namespace stokefs::tools {
namespace {

using std::chrono::seconds;

TEST(TimedChild, HandsBackAllOutput) {
  auto const got = RunTimed(seconds(20), [](TimedChild::Reporter& report) {
    report.Step("writing");
    for (int i = 0; i < 100; ++i)
      report.Output(std::string(100000, static_cast<char>('a' + i % 26)));
  });
  ASSERT_TRUE(got);
  EXPECT_EQ(got->size(), 10'000'000u);
  EXPECT_EQ(got->back(), 'v');
}

TEST(TimedChild, HandsBackTheErrorWithItsCode) {
  auto const got = RunTimed(seconds(20), [](TimedChild::Reporter& report) {
    report.Fail({std::errc::not_connected, "no daemon"});
  });
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, std::errc::not_connected);
  EXPECT_EQ(got.error().message, "no daemon");
}

TEST(TimedChild, ALateChildIsLeftWithItsLastStep) {
  auto child = TimedChild::Start([](TimedChild::Reporter& report) {
    report.Step("first");
    report.Step("stat /hung");
    for (;;) pause();
  });
  ASSERT_TRUE(child);
  // The step is told before the wait is over, so this much is no race on a machine that runs at
  // all.
  auto const got = (*child)->Wait(seconds(2));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, std::errc::timed_out);
  EXPECT_TRUE((*child)->late());
  EXPECT_EQ((*child)->step(), "stat /hung");
}

TEST(TimedChild, AChildThatDiesIsAnError) {
  auto const got = RunTimed(seconds(20), [](TimedChild::Reporter& report) {
    report.Step("dying");
    _exit(1);
  });
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, std::errc::io_error);
}

TEST(TimedChild, AnswersComeOneByOneAndThenNone) {
  auto child = TimedChild::Start([](TimedChild::Reporter& report) {
    report.Answer("one");
    report.Step("between");
    report.Answer("");
    report.Answer(std::string(300'000, 'x'));
  });
  ASSERT_TRUE(child);
  EXPECT_EQ((*child)->NextAnswer(seconds(20)).value(), "one");
  EXPECT_EQ((*child)->NextAnswer(seconds(20)).value(), "");
  EXPECT_EQ((*child)->NextAnswer(seconds(20)).value()->size(), 300'000u);
  EXPECT_FALSE((*child)->NextAnswer(seconds(20)).value());
}

TEST(TimedChild, AnAnswerThatDoesNotComeNamesTheStep) {
  auto child = TimedChild::Start([](TimedChild::Reporter& report) {
    report.Answer("one");
    report.Step("read /hung");
    for (;;) pause();
  });
  ASSERT_TRUE(child);
  EXPECT_EQ((*child)->NextAnswer(seconds(20)).value(), "one");
  EXPECT_EQ((*child)->NextAnswer(seconds(1)).error().code, std::errc::timed_out);
  EXPECT_TRUE((*child)->late());
  EXPECT_EQ((*child)->step(), "read /hung");
}

TEST(TimedChild, AnErrorComesBehindTheAnswers) {
  auto child = TimedChild::Start([](TimedChild::Reporter& report) {
    report.Answer("one");
    report.Fail({std::errc::not_connected, "gone"});
  });
  ASSERT_TRUE(child);
  EXPECT_EQ((*child)->NextAnswer(seconds(20)).value(), "one");
  EXPECT_EQ((*child)->NextAnswer(seconds(20)).error().code, std::errc::not_connected);
}

}  // namespace
}  // namespace stokefs::tools
