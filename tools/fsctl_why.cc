// fsctl why: what jobs wait for, and what would change that.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cxxopts.hpp>
#include <string>

#include "tools/command_line.h"
#include "tools/exit_status.h"
#include "tools/follow_command.h"
#include "tools/fsctl_commands.h"
#include "tools/mount_question.h"
#include "tools/stuck_report.h"
#include "tools/trace_text.h"
#include "tools/why.h"

namespace stokefs::tools {
namespace {

// A trace of millions of reads takes the daemon longer than a look at its statistics.
constexpr auto kTraceLimit = std::chrono::seconds(20);

}  // namespace

int RunWhy(const Words& words) {
  cxxopts::Options options("fsctl why",
                           "Says what each job waits for, and what would change that.");
  options.custom_help("MNT [FLAGS]").positional_help("");
  options.add_options()("json", "the answer as one JSON object");
  options.add_options("hidden")("mount-point", "", cxxopts::value<std::string>());
  options.parse_positional({"mount-point"});
  CommandLine const line(std::move(options), words);
  if (line.ended()) return line.status();
  auto const mount_point = line.Value("mount-point");
  if (!mount_point) return line.Misused("MNT is missing");

  FoundMount const found = FindMountOrSay(*mount_point);
  if (!found.known) return found.status;
  auto const answer = ReadControlFile(*found.known, "trace", kTraceLimit);
  if (!answer) return SayFailure(*found.known, answer.error());
  if (answer->stuck_step) Say(StuckReport(*found.known, *answer->stuck_step, ""), kExitNoAnswer);
  auto const recorded = ParseTraceText(answer->bytes);
  if (!recorded) return Say(recorded.error().message, kExitFailed);
  // Seconds of computing on a large dataset: not at the expense of those it is about.
  setpriority(PRIO_PROCESS, 0, 10);
  std::vector<JobWhy> const jobs = ExplainJobs(*recorded);
  std::fputs((line.Has("json") ? WhyJson(jobs) : WhyText(jobs)).c_str(), stdout);
  if (std::fflush(stdout) != 0) return kExitFailed;
  return answer->stuck_step ? kExitNoAnswer : kExitDone;
}

}  // namespace stokefs::tools
