// fsctl refresh, verify, locate: what the mount knows against what is true.
#include <chrono>
#include <cstdio>
#include <cxxopts.hpp>
#include <utility>

#include "tools/command_line.h"
#include "tools/command_paths.h"
#include "tools/command_text.h"
#include "tools/exit_status.h"
#include "tools/follow_command.h"
#include "tools/fsctl_commands.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::ordered_json;

// The command line of "fsctl NAME MNT [PATH]".
CommandLine Parse(cxxopts::Options options, const Words& words, bool takes_path) {
  options.add_options("hidden")("mount-point", "", cxxopts::value<std::string>());
  options.add_options("hidden")("path", "", cxxopts::value<std::string>());
  if (takes_path) {
    options.parse_positional({"mount-point", "path"});
  } else {
    options.parse_positional({"mount-point"});
  }
  return CommandLine(std::move(options), words);
}

// The exit status after its result was shown; `is_good` judges the result.
template <typename Text, typename Judge>
int Follow(const std::string& mount_point, FollowedCommand command, Text text, Judge is_good) {
  auto const found = FindMountOrSay(mount_point);
  if (!found.known) return found.status;
  Ended const ended = FollowCommand(*found.known, command);
  if (ended.status != kExitDone) return ended.status;
  std::fputs(text(ended.result).c_str(), stdout);
  return is_good(ended.result) ? kExitDone : kExitFailed;
}

}  // namespace

int RunRefresh(const Words& words) {
  cxxopts::Options options("fsctl refresh",
                           "Takes over what changed at the source of MNT, and returns when all is "
                           "done.");
  options.custom_help("MNT").positional_help("");
  CommandLine const line = Parse(std::move(options), words, false);
  if (line.ended()) return line.status();
  auto const mount_point = line.Value("mount-point");
  if (!mount_point) return line.Misused("MNT is missing");
  return Follow(
      *mount_point,
      {.request = {{"command", "refresh"}},
       .progress_text = RefreshProgressText,
       .when_cancelled = "the comparison goes on in the daemon; what it finds is taken over"},
      RefreshText, [](const Json& result) { return result.value("errors", 0) == 0; });
}

int RunVerify(const Words& words) {
  cxxopts::Options options("fsctl verify",
                           "Checks all that MNT has cached: on disk, in memory, and the catalog.");
  options.custom_help("MNT").positional_help("");
  CommandLine const line = Parse(std::move(options), words, false);
  if (line.ended()) return line.status();
  auto const mount_point = line.Value("mount-point");
  if (!mount_point) return line.Misused("MNT is missing");
  return Follow(*mount_point,
                {.request = {{"command", "verify"}},
                 .progress_text = VerifyProgressText,
                 .when_cancelled = "what was found damaged so far was put aside"},
                VerifyText, [](const Json& result) { return result.value("damaged", 0) == 0; });
}

int RunLocate(const Words& words) {
  cxxopts::Options options("fsctl locate", "Says where the bytes of a sample of MNT are.");
  options.custom_help("MNT PATH [FLAGS]").positional_help("");
  options.add_options()("json", "for programs; every extent of a large file");
  CommandLine const line = Parse(std::move(options), words, true);
  if (line.ended()) return line.status();
  auto const mount_point = line.Value("mount-point");
  auto const word = line.Value("path");
  if (!mount_point || !word)
    return line.Misused(mount_point ? "PATH is missing" : "MNT is missing");
  auto const found = FindMountOrSay(*mount_point);
  if (!found.known) return found.status;
  auto const path = PathBelow(*word, *mount_point, found.known->mount_point);
  if (!path) return Say(path.error().message, ExitStatusOf(path.error()));
  Ended const ended =
      FollowCommand(*found.known, {.request = {{"command", "locate"}, {"path", PathJson(*path)}},
                                   .progress_text = RefreshProgressText,
                                   .when_cancelled = {}});
  if (ended.status != kExitDone) return ended.status;
  std::string const text =
      line.Has("json") ? ended.result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                       : LocateText(ended.result);
  std::fputs(text.c_str(), stdout);
  return kExitDone;
}

}  // namespace stokefs::tools
