// fsctl warmup, evict, pin, unpin: what the mount keeps.
#include <cstdio>
#include <cxxopts.hpp>
#include <optional>
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

// "fsctl NAME MNT [PATH...] [FLAGS]".
CommandLine Parse(cxxopts::Options options, const Words& words) {
  options.add_options("hidden")("word", "", cxxopts::value<std::vector<std::string>>());
  options.parse_positional({"word"});
  return CommandLine(std::move(options), words);
}

// MNT and the paths, as they were written.
Words WordsOf(const CommandLine& line) {
  Words words;
  for (const CommandLine::Given& given : line.flags()) {
    if (given.name == "word") words.push_back(given.value);
  }
  return words;
}

struct Place {
  std::optional<KnownMount> known;
  Json paths = Json::array();
  int status = kExitDone;  // when it is not known
};

// The mount and the paths below it, from words of which the first is MNT.
Place FindPlace(const Words& words) {
  Place place;
  auto found = FindMountOrSay(words[0]);
  if (!found.known) {
    place.status = found.status;
    return place;
  }
  for (size_t i = 1; i < words.size(); ++i) {
    auto const path = PathBelow(words[i], words[0], found.known->mount_point);
    if (!path) {
      place.status = Say(path.error().message, ExitStatusOf(path.error()));
      return place;
    }
    place.paths.push_back(PathJson(*path));
  }
  place.known = std::move(found.known);
  return place;
}

int ShowWarmup(const Ended& ended) {
  if (ended.status != kExitDone) return ended.status;
  std::fputs(WarmupText(ended.result).c_str(), stdout);
  bool const is_whole = ended.result.value("samples_failed", 0) == 0 &&
                        ended.result.value("samples_lost", 0) == 0 &&
                        !ended.result.value("full", false);
  return is_whole ? kExitDone : kExitFailed;
}

}  // namespace

int RunWarmup(const Words& words) {
  cxxopts::Options options("fsctl warmup",
                           "Fetches what is not there yet of the samples of MNT below PATH (all, "
                           "without one).");
  options.custom_help("MNT [PATH...] [FLAGS]").positional_help("");
  options.add_options()("background", "return at once; it goes on, after a restart too")(
      "status", "how the warm-up in the background is")("stop", "end it for good");
  CommandLine const line = Parse(std::move(options), words);
  if (line.ended()) return line.status();
  Words const given = WordsOf(line);
  if (given.empty()) return line.Misused("MNT is missing");
  bool const background = line.Has("background"), status = line.Has("status"),
             stop = line.Has("stop");
  if (background + status + stop > 1)
    return line.Misused("--background, --status and --stop exclude each other");
  if ((status || stop) && given.size() > 1) return line.Misused("no PATH goes with this flag");
  Place const place = FindPlace(given);
  if (!place.known) return place.status;
  if (status || stop) {
    Ended const ended = FollowCommand(
        *place.known, {.request = {{"command", status ? "warmup-status" : "warmup-stop"}},
                       .progress_text = {},
                       .when_cancelled = {}});
    if (ended.status != kExitDone) return ended.status;
    bool const is_stopped = ended.result.value("stopped", false);
    std::string const text = status       ? WarmupStatusText(ended.result)
                             : is_stopped ? "stopped\n"
                                          : "no warm-up runs in the background\n";
    std::fputs(text.c_str(), stdout);
    return kExitDone;
  }
  Json request = {{"command", "warmup"}, {"paths", place.paths}};
  if (background) request["background"] = true;
  Ended const ended = FollowCommand(
      *place.known, {.request = std::move(request),
                     .progress_text = WarmupProgressText,
                     .when_cancelled = "what was fetched stays; the next warm-up skips it",
                     .until = background ? FollowUntil::kBegun : FollowUntil::kEnded});
  if (ended.is_running) {
    std::printf("begun; fsctl warmup %s --status says how it is\n", given[0].c_str());
    return kExitDone;
  }
  return ShowWarmup(ended);
}

int RunEvict(const Words& words) {
  cxxopts::Options options("fsctl evict",
                           "Forgets what MNT has cached of the samples below PATH: on disk, in "
                           "memory and in the page cache.");
  options.custom_help("MNT PATH... | --all").positional_help("");
  options.add_options()("all", "everything")("pinned", "what is pinned as well");
  CommandLine const line = Parse(std::move(options), words);
  if (line.ended()) return line.status();
  Words const given = WordsOf(line);
  if (given.empty()) return line.Misused("MNT is missing");
  if (given.size() == 1 && !line.Has("all")) return line.Misused("say PATH or --all");
  if (given.size() > 1 && line.Has("all")) return line.Misused("--all goes without PATH");
  Place const place = FindPlace(given);
  if (!place.known) return place.status;
  Json request = {{"command", "evict"}, {"paths", place.paths}};
  if (line.Has("all")) request["all"] = true;
  if (line.Has("pinned")) request["pinned"] = true;
  Ended const ended =
      FollowCommand(*place.known, {.request = std::move(request),
                                   .progress_text = EvictProgressText,
                                   .when_cancelled = "what was evicted so far stays evicted"});
  if (ended.status != kExitDone) return ended.status;
  std::fputs(EvictText(ended.result).c_str(), stdout);
  return kExitDone;
}

int RunPin(const Words& words) {
  cxxopts::Options options("fsctl pin",
                           "Keeps the samples of MNT below PATH on the local disks, and fetches "
                           "what is missing. Without PATH: lists the pins and how much of each is "
                           "there.");
  options.custom_help("MNT [PATH...] [FLAGS]").positional_help("");
  options.add_options()("json", "the list for programs");
  CommandLine const line = Parse(std::move(options), words);
  if (line.ended()) return line.status();
  Words const given = WordsOf(line);
  if (given.empty()) return line.Misused("MNT is missing");
  if (given.size() > 1 && line.Has("json")) return line.Misused("--json goes without PATH");
  Place const place = FindPlace(given);
  if (!place.known) return place.status;
  Json request = {{"command", place.paths.empty() ? "pins" : "pin"}};
  if (!place.paths.empty()) request["paths"] = place.paths;
  Ended const ended = FollowCommand(
      *place.known,
      {.request = std::move(request), .progress_text = RefreshProgressText, .when_cancelled = {}});
  if (ended.status != kExitDone) return ended.status;
  if (!place.paths.empty()) {
    std::printf("pinned; fsctl pin %s says how much is there\n", given[0].c_str());
    return kExitDone;
  }
  std::string const text =
      line.Has("json") ? ended.result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                       : PinsText(ended.result);
  std::fputs(text.c_str(), stdout);
  return kExitDone;
}

int RunUnpin(const Words& words) {
  cxxopts::Options options("fsctl unpin",
                           "Takes pins of MNT away, as they were given to pin. What is on disk "
                           "stays there until room is needed.");
  options.custom_help("MNT PATH...").positional_help("");
  CommandLine const line = Parse(std::move(options), words);
  if (line.ended()) return line.status();
  Words const given = WordsOf(line);
  if (given.size() < 2) return line.Misused(given.empty() ? "MNT is missing" : "PATH is missing");
  Place const place = FindPlace(given);
  if (!place.known) return place.status;
  return FollowCommand(*place.known, {.request = {{"command", "unpin"}, {"paths", place.paths}},
                                      .progress_text = {},
                                      .when_cancelled = {}})
      .status;
}

}  // namespace stokefs::tools
