#include "tools/stuck_report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "tools/process_state.h"
#include "tools/timed_child.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::json;

// "fuse_dev_do_read (4), futex_wait (2)": where the threads sleep, the most common first.
std::string ThreadsText(pid_t pid) {
  std::map<std::string, int> counts;
  for (const ThreadWait& thread : ReadThreads(pid, 1024))
    if (!thread.where.empty()) ++counts[thread.where];
  std::vector<std::pair<std::string, int>> places(counts.begin(), counts.end());
  std::stable_sort(places.begin(), places.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (size_t i = 0; i < places.size() && i < 4; ++i)
    text += (i ? ", " : "") + places[i].first + " (" + std::to_string(places[i].second) + ")";
  return text;
}

std::string ProcessText(const KnownMount& known) {
  if (!known.entry) return "its process is not known to this user";
  pid_t const pid = known.entry->pid;
  auto const process = ReadProcess(pid);
  if (!process || process->start_ticks != known.entry->start_ticks)
    return "its process " + std::to_string(pid) + " is gone";
  // The command line lies in that process's memory, and reading it may wait for the process.
  auto const command = RunTimed(std::chrono::milliseconds(100), [&](TimedChild::Reporter& report) {
    report.Output(CommandLine(pid));
  });
  std::string text = "process " + std::to_string(pid) + " (" +
                     (command ? *command : process->name) + ") is " + StateText(process->state);
  std::string const threads = ThreadsText(pid);
  if (!threads.empty()) text += ", its threads wait in " + threads;
  return text;
}

std::string ParkedText(const std::string& stats) {
  Json const json = Json::parse(stats, nullptr, false);
  if (!json.is_object() || !json.contains("parked") || !json["parked"].is_array()) return "";
  std::vector<Json> parked(json["parked"].begin(), json["parked"].end());
  auto const waited = [](const Json& read) {
    return read.is_object() && read.contains("waited_ms") && read["waited_ms"].is_number()
               ? read["waited_ms"].get<double>()
               : 0.0;
  };
  std::stable_sort(parked.begin(), parked.end(),
                   [&](const Json& a, const Json& b) { return waited(a) > waited(b); });
  std::string text;
  for (size_t i = 0; i < parked.size() && i < 3; ++i) {
    const Json& read = parked[i];
    if (!read.is_object()) continue;
    auto const word = [&](const char* key) {
      if (!read.contains(key)) return std::string("?");
      const Json& value = read[key];
      return value.is_string() ? value.get<std::string>()
                               : value.dump(-1, ' ', false, Json::error_handler_t::replace);
    };
    text += "; waiting " + std::to_string(static_cast<int64_t>(waited(read))) + " ms: read of " +
            word("path") + " at " + word("offset") + " by " + word("reader");
  }
  return text;
}

}  // namespace

std::string StuckReport(const KnownMount& known, const std::string& step,
                        const std::string& stats) {
  std::string text =
      known.mount_point + " does not answer: " + ProcessText(known) + "; stuck request: " + step;
  if (!stats.empty()) text += ParkedText(stats);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace stokefs::tools
