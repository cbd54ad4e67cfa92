#include "tools/command_runner.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <future>
#include <string>

#include "tests/support/catalog_mount.h"
#include "tools/command_conversation.h"

namespace stokefs::tools {
namespace {

using testing::Await;

// Verbs: "echo" ends at once; "wait" and "long" run until Release or a cancellation; "fail" fails.
class CommandRunnerTest : public ::testing::Test {
 protected:
  CommandRunnerTest() : runner_({.count_max = 4, .short_count_min = 1}, Verbs()) {}
  ~CommandRunnerTest() override { released_ = true; }

  std::map<std::string, CommandParser> Verbs() {
    std::map<std::string, CommandParser> verbs;
    verbs["echo"] = [](const Json& request) -> base::Result<CommandWork> {
      return CommandWork{.run = [request](RunningCommand& command) -> base::Result<Json> {
        command.Report({{"heard", true}});
        return request;
      }};
    };
    verbs["fail"] = [](const Json&) -> base::Result<CommandWork> {
      return CommandWork{.run = [](RunningCommand&) -> base::Result<Json> {
        return base::Fail(std::errc::io_error, "it broke");
      }};
    };
    verbs["refuse"] = [](const Json&) -> base::Result<CommandWork> {
      return base::Fail(std::errc::invalid_argument, "not so");
    };
    for (std::string const name : {"wait", "long"}) {
      verbs[name] = [this, name](const Json& request) -> base::Result<CommandWork> {
        return CommandWork{
            .run = [this](RunningCommand& command) { return WaitForRelease(command); },
            .length = name == "long" ? CommandLength::kLong : CommandLength::kShort,
            .in_background = request.contains("background")};
      };
    }
    return verbs;
  }
  base::Result<Json> WaitForRelease(RunningCommand& command) {
    ++running_;
    while (!released_ && !command.signal().IsCancelled()) {
      command.signal().Wait(std::chrono::milliseconds(5));
    }
    --running_;
    if (command.signal().IsCancelled()) {
      return base::Fail(std::errc::operation_canceled, "cancelled");
    }
    return Json("released");
  }
  std::shared_ptr<RunningCommand> Start(const std::string& text) {
    return runner_.Start(text).command;
  }
  static void AwaitEnd(const RunningCommand& command) {
    Await([&] { return command.state() != CommandState::kRunning; });
  }

  std::atomic<bool> released_{false};
  std::atomic<int> running_{0};
  CommandRunner runner_;
};

TEST_F(CommandRunnerTest, ACommandShowsWhatItIsAndWhatBecameOfIt) {
  auto const command = Start(R"({"command": "echo", "word": "hello"})");
  AwaitEnd(*command);
  Json const shown = Json::parse(command->Text());
  EXPECT_EQ(shown["id"], 1);
  EXPECT_EQ(shown["command"], "echo");
  EXPECT_EQ(shown["state"], "done");
  EXPECT_EQ(shown["progress"]["heard"], true);
  EXPECT_EQ(shown["result"]["word"], "hello");
  EXPECT_FALSE(shown.contains("error"));
}

TEST_F(CommandRunnerTest, AFailureSaysWhy) {
  auto const command = Start(R"({"command": "fail"})");
  AwaitEnd(*command);
  Json const shown = command->Show();
  EXPECT_EQ(shown["state"], "failed");
  EXPECT_EQ(shown["error"], "it broke");
  EXPECT_EQ(shown["errno"], EIO);
  EXPECT_FALSE(shown.contains("result"));
}

TEST_F(CommandRunnerTest, RequestsThatMakeNoSenseAreRefused) {
  std::string const deep = std::string(100'000, '[') + std::string(100'000, ']');
  for (std::string const& text :
       {std::string(), std::string("nonsense"), std::string("[]"), std::string("{}"),
        std::string(R"({"command": 3})"), std::string(R"({"command": "no"})"),
        std::string(R"({"command": "refuse"})"), std::string("{\"command\": \"\xff\"}"), deep}) {
    auto const started = runner_.Start(text);
    EXPECT_EQ(started.refused, EINVAL) << text.substr(0, 100);
    EXPECT_EQ(started.command->state(), CommandState::kFailed);
    EXPECT_FALSE(started.command->Show()["error"].get<std::string>().empty());
  }
}

TEST_F(CommandRunnerTest, ACancelledCommandEndsSo) {
  auto const command = Start(R"({"command": "wait"})");
  Await([&] { return running_ == 1; });
  command->Cancel();
  AwaitEnd(*command);
  EXPECT_EQ(command->Show()["state"], "cancelled");
}

TEST_F(CommandRunnerTest, OnlySoManyRunAndLongOnesLeaveRoomForShortOnes) {
  std::vector<std::shared_ptr<RunningCommand>> commands;
  for (int i = 0; i < 3; ++i) commands.push_back(Start(R"({"command": "long"})"));
  auto const fourth = runner_.Start(R"({"command": "long"})");
  EXPECT_EQ(fourth.refused, EBUSY);
  auto const quick = Start(R"({"command": "echo"})");
  AwaitEnd(*quick);
  EXPECT_EQ(quick->state(), CommandState::kDone);
  Await([&] { return Start(R"({"command": "wait"})")->state() == CommandState::kRunning; });
  EXPECT_EQ(runner_.Start(R"({"command": "wait"})").refused, EBUSY);
  released_ = true;
  for (auto const& command : commands) AwaitEnd(*command);
  Await([&] { return runner_.Start(R"({"command": "long"})").refused == 0; });
}

TEST_F(CommandRunnerTest, TheEndCancelsWhatRunsAndBeginsNoMore) {
  auto const command = Start(R"({"command": "wait"})");
  Await([&] { return running_ == 1; });
  EXPECT_TRUE(runner_.Stop(std::chrono::seconds(20)));
  EXPECT_EQ(command->state(), CommandState::kCancelled);
  EXPECT_EQ(runner_.Start(R"({"command": "echo"})").refused, ECANCELED);
}

TEST_F(CommandRunnerTest, AConversationTakesOneRequestInPieces) {
  CommandConversation conversation(runner_);
  EXPECT_EQ(Json::parse(conversation.Read())["state"], "waiting");
  EXPECT_EQ(conversation.Write(R"({"comm)"), 0);
  EXPECT_EQ(conversation.Write(R"(and": "echo"})"), 0);
  EXPECT_EQ(Json::parse(conversation.Read())["state"], "waiting");
  EXPECT_EQ(conversation.Write("\n"), 0);
  Await([&] { return Json::parse(conversation.Read())["state"] == "done"; });
  EXPECT_EQ(conversation.Write("{}\n"), EALREADY);
}

TEST_F(CommandRunnerTest, AConversationRefusesWhatIsNoLine) {
  EXPECT_EQ(CommandConversation(runner_).Write("{}\n{}\n"), EINVAL);
  EXPECT_EQ(CommandConversation(runner_).Write("{\"command\": \"no\"}\n"), EINVAL);
  CommandConversation endless(runner_);
  std::string const piece(1 << 20, ' ');
  int error = 0;
  for (int i = 0; i < 20 && error == 0; ++i) error = endless.Write(piece);
  EXPECT_EQ(error, EFBIG);
}

TEST_F(CommandRunnerTest, AnEndedConversationCancelsItsCommandUnlessInTheBackground) {
  {
    CommandConversation conversation(runner_);
    ASSERT_EQ(conversation.Write("{\"command\": \"wait\"}\n"), 0);
    Await([&] { return running_ == 1; });
  }
  Await([&] { return running_ == 0; });
  {
    CommandConversation conversation(runner_);
    ASSERT_EQ(conversation.Write("{\"command\": \"wait\", \"background\": true}\n"), 0);
  }
  Await([&] { return running_ == 1; });
}

}  // namespace
}  // namespace stokefs::tools
