// fsctl stats, events, config: what a mount says of itself.
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cxxopts.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "tools/command_line.h"
#include "tools/exit_status.h"
#include "tools/follow_command.h"
#include "tools/fsctl_commands.h"
#include "tools/mount_question.h"
#include "tools/stats_text.h"
#include "tools/stuck_report.h"

namespace stokefs::tools {
namespace {

using Clock = std::chrono::steady_clock;

struct Asked {
  int status = kExitDone;
  std::string mount_point;
  std::string bytes;  // empty: nothing to show
};

Asked Ask(const std::string& path, const std::string& file) {
  auto const start = Clock::now();
  auto const known = FindMount(path, kLookUpLimit);
  if (!known) return {Say(known.error().message, ExitStatusOf(known.error())), path, ""};
  auto const answer = ReadControlFile(*known, file, kAnswerLimit - (Clock::now() - start));
  if (!answer) return {SayFailure(*known, answer.error()), known->mount_point, ""};
  if (!answer->stuck_step) return {kExitDone, known->mount_point, answer->bytes};
  std::string const stats = file == "stats" ? answer->bytes : "";
  return {Say(StuckReport(*known, *answer->stuck_step, stats), kExitNoAnswer), known->mount_point,
          answer->bytes};
}

struct StatsWish {
  std::string path;
  bool json = false;
  std::optional<double> watch_s;
};

int ShowStats(const StatsWish& wish) {
  std::string earlier;
  auto earlier_at = Clock::now();
  bool const clear = wish.watch_s && !wish.json && isatty(STDOUT_FILENO);
  for (;;) {
    Asked const asked = Ask(wish.path, "stats");
    if (asked.bytes.empty()) return asked.status;
    auto const now = Clock::now();
    if (wish.json) {
      std::fputs(asked.bytes.c_str(), stdout);
      if (asked.bytes.back() != '\n') std::fputc('\n', stdout);
    } else {
      double const seconds = std::chrono::duration<double>(now - earlier_at).count();
      auto const text = StatsText(asked.mount_point, asked.bytes, earlier, seconds);
      if (!text) return Say(text.error().message, kExitFailed);
      if (clear) std::fputs("\033[H\033[2J", stdout);
      std::fputs(text->c_str(), stdout);
      if (wish.watch_s && !clear) std::fputc('\n', stdout);
    }
    if (std::fflush(stdout) != 0) return kExitFailed;
    if (!wish.watch_s || asked.status != kExitDone) return asked.status;
    earlier = asked.bytes;
    earlier_at = now;
    std::this_thread::sleep_until(now + std::chrono::duration_cast<Clock::duration>(
                                            std::chrono::duration<double>(*wish.watch_s)));
  }
}

std::optional<double> ParseSeconds(const std::string& text) {
  double seconds = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size() || !(seconds >= 0.1) ||
      seconds > 86400)
    return {};
  return seconds;
}

int RunFile(const std::string& name, const char* what, const Words& arguments) {
  cxxopts::Options options("fsctl " + name, what);
  options.custom_help("MNT").positional_help("");
  options.add_options("hidden")("mount-point", "", cxxopts::value<std::string>());
  options.parse_positional({"mount-point"});
  CommandLine const line(std::move(options), arguments);
  if (line.ended()) return line.status();
  auto const mount_point = line.Value("mount-point");
  if (!mount_point) return line.Misused("MNT is missing");
  Asked const asked = Ask(*mount_point, name);
  std::fputs(asked.bytes.c_str(), stdout);
  return asked.status;
}

}  // namespace

int RunStats(const Words& arguments) {
  cxxopts::Options options("fsctl stats", "Shows what was read through the mount at MNT.");
  options.custom_help("MNT [FLAGS]").positional_help("");
  options.add_options()("json", "the daemon's JSON as it is")(
      "watch", "refresh each second, or every SECONDS",
      cxxopts::value<std::string>()->implicit_value("1"), "[SECONDS]");
  options.add_options("hidden")("word", "", cxxopts::value<std::string>());
  options.add_options("hidden")("word2", "", cxxopts::value<std::string>());
  options.parse_positional({"word", "word2"});
  CommandLine const line(std::move(options), arguments);
  if (line.ended()) return line.status();
  auto mount_point = line.Value("word");
  auto second = line.Value("word2");
  auto watch = line.Value("watch");
  // "--watch 5": a flag whose value may be left out does not take the next word by itself.
  if (second && watch) {
    if (mount_point && ParseSeconds(*mount_point)) std::swap(*mount_point, *second);
    watch = second;
    second.reset();
  }
  if (!mount_point) return line.Misused("MNT is missing");
  if (second) return line.Misused("too many words: " + *second);
  StatsWish wish{.path = *mount_point, .json = line.Has("json")};
  if (watch) {
    wish.watch_s = ParseSeconds(*watch);
    if (!wish.watch_s)
      return line.Misused("--watch: \"" + *watch + "\" is not a number of seconds from 0.1");
  }
  return ShowStats(wish);
}

int RunEvents(const Words& words) {
  return RunFile("events", "Shows what happened lately at MNT.", words);
}
int RunConfig(const Words& words) {
  return RunFile("config", "Shows what MNT was asked to be.", words);
}

}  // namespace stokefs::tools
