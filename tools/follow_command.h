// A command of fsctl that the daemon carries out: asked for, watched, its end told.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "tools/mount_question.h"

namespace stokefs::tools {

// What one question may take: with looking for the mount and the report about what is stuck it
// stays within 2 s.
inline constexpr auto kAnswerLimit = std::chrono::milliseconds(1700);
inline constexpr auto kLookUpLimit = std::chrono::milliseconds(700);
// The first answer to a command, when the look-up may have taken its whole time.
inline constexpr auto kFirstAnswerLimit = kAnswerLimit - kLookUpLimit;

// "fsctl: text" on standard error; returns `status`.
int Say(const std::string& text, int status);
// Says why a question got no answer; returns the exit status.
int SayFailure(const KnownMount& known, const base::Error& error);

enum class FollowUntil : uint8_t { kEnded, kBegun };  // kBegun: its first progress is told

struct FollowedCommand {
  nlohmann::ordered_json request;
  // The progress for a person, one line without its break; empty: nothing worth a line.
  std::function<std::string(const nlohmann::ordered_json& progress)> progress_text;
  std::string when_cancelled;  // what Ctrl-C leaves behind, said then
  FollowUntil until = FollowUntil::kEnded;
};

struct Ended {
  int status = 0;
  nlohmann::ordered_json result;  // of a command that is done
  bool is_running = false;        // it was followed until it had begun, and goes on
};

// Blocks until the command has ended, as long as the daemon answers each question in time. Shows
// progress on standard error: in place on a terminal, as a line every two seconds else. Says what
// went wrong. An interrupt (SIGINT, SIGTERM, SIGHUP) cancels the command: status 1.
Ended FollowCommand(const KnownMount& known, const FollowedCommand& command);

// The mount at `path`; what is wrong with it is said.
struct FoundMount {
  std::optional<KnownMount> known;
  int status = 0;  // when it is not known; then that was said
};
FoundMount FindMountOrSay(const std::string& path);

}  // namespace stokefs::tools
