// The command `stokesim`: what each policy would give, for any dataset and memory size.
#include <cstdio>
#include <cxxopts.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tools/command_line.h"
#include "tools/exit_status.h"
#include "tools/sim_epochs.h"
#include "tools/sim_options.h"
#include "tools/sim_report.h"
#include "tools/trace_text.h"
#include "tools/version.h"

namespace stokefs::tools {
namespace {

constexpr const char* kHelp =
    "stokesim runs cache policies over training runs, made up or recorded.\n"
    "\n"
    "Usage:\n"
    "  stokesim epochs --samples N [FLAGS]   hit ratio of each policy and memory size\n"
    "  stokesim epochs --trace FILE [FLAGS]  the same for what a mount recorded "
    "(MNT/.stokefs/trace)\n"
    "  stokesim COMMAND --help               the flags of a command\n"
    "  stokesim --version\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

// A trace is held in memory, 4 bytes a read, and positions in it are 32 bits.
constexpr double kReadCountMax = 4e9;

int Say(const std::string& text, int status) {
  std::fprintf(stderr, "stokesim: %s\n", text.c_str());
  return status;
}

cxxopts::Options EpochsOptions() {
  cxxopts::Options options("stokesim epochs",
                           "Runs policies over the epochs of a training run, made up or recorded.");
  options.custom_help("{--samples N | --trace FILE} [FLAGS]").positional_help("");
  options.add_options()("samples", "samples in the dataset", cxxopts::value<std::string>(), "N")(
      "chunk-samples", "samples in a chunk", cxxopts::value<std::string>()->default_value("128"),
      "N")("memory", "sizes of memory, as fractions of the dataset",
           cxxopts::value<std::string>()->default_value("0.1,0.2,0.3,0.5,0.75"), "C,...")(
      "policy", "stokefs, lru, fifo, s3fifo, arc, pinned, shade, memhub, belady; or all",
      cxxopts::value<std::string>()->default_value("all"), "NAME,...")(
      "epochs",
      "epochs to run; the last one counts. Of a recorded run: how often it is repeated, 2 "
      "unless it is told",
      cxxopts::value<std::string>()->default_value("5"),
      "N")("trace",
           "uniform, zipf, log-rank, distributed, out-of-phase, in-step; or a FILE that "
           "a mount recorded",
           cxxopts::value<std::string>()->default_value("uniform"),
           "KIND")("exponent", "of zipf", cxxopts::value<std::string>()->default_value("0.9"), "X")(
      "jobs", "of out-of-phase and in-step", cxxopts::value<std::string>()->default_value("2"),
      "N")("world", "ranks of distributed", cxxopts::value<std::string>()->default_value("8"), "N")(
      "replication", "how often shade repeats what is in memory",
      cxxopts::value<std::string>()->default_value("1"),
      "X")("seed", "of all random numbers", cxxopts::value<std::string>()->default_value("1"), "N")(
      "json", "one JSON array of rows")("svg", "curves beside the bound, to FILE",
                                        cxxopts::value<std::string>(), "FILE");
  return options;
}

base::Result<SimOptions> Judge(const CommandLine& line) {
  auto const text = [&](const std::string& flag, const char* otherwise) {
    return line.Value(flag).value_or(otherwise);
  };
  SimOptions options;
  TraceOptions& trace = options.trace;
  struct Count {
    const char* flag;
    const char* otherwise;
    SimRange range;
    uint32_t* value;
  };
  auto const kind = ParseTraceKind(text("trace", "uniform"));
  if (kind && !line.Has("samples")) return Refuse("--samples is missing");
  for (const Count& count : {Count{"samples", "1", {1, 1e9}, &trace.sample_count},
                             Count{"chunk-samples", "128", {1, 1e6}, &options.chunk_samples},
                             Count{"epochs", "5", {1, 1000}, &trace.epoch_count},
                             Count{"jobs", "2", {1, cache::kJobCountMax}, &trace.job_count},
                             Count{"world", "8", {1, 1e6}, &trace.world}}) {
    auto const value = ParseSimCount(count.flag, text(count.flag, count.otherwise), count.range);
    if (!value) return Pass(value.error());
    *count.value = static_cast<uint32_t>(*value);
  }
  auto const seed = ParseSimCount("seed", text("seed", "1"), {0, 1e18});
  if (!seed) return Pass(seed.error());
  auto const exponent = ParseSimNumber("exponent", text("exponent", "0.9"), {0, 10});
  if (!exponent) return Pass(exponent.error());
  auto const replication = ParseSimNumber("replication", text("replication", "1"), {1, 1000});
  if (!replication) return Pass(replication.error());
  auto memory = ParseSimMemory(text("memory", "0.1,0.2,0.3,0.5,0.75"));
  if (!memory) return Pass(memory.error());
  auto policies = ParseSimPolicies(text("policy", "all"));
  if (!policies) return Pass(policies.error());
  trace.seed = *seed;
  trace.exponent = *exponent;
  trace.kind = kind.value_or(TraceKind::kUniform);
  options.replication = *replication;
  options.memory = *std::move(memory);
  options.policies = *std::move(policies);
  bool const one_job = trace.kind != TraceKind::kOutOfPhase && trace.kind != TraceKind::kInStep;
  if (1.0 * trace.sample_count * trace.epoch_count * (one_job ? 1 : trace.job_count) >
      kReadCountMax)
    return Refuse("more than 4,000,000,000 reads");
  return options;
}

// What a mount recorded. Errors name the file.
base::Result<SimRun> LoadRun(const std::string& path, unsigned round_count) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file || !(text << file.rdbuf()))
    return Refuse("--trace: \"" + path + "\" is no kind, and no file that can be read");
  auto recorded = ParseTraceText(text.view());
  if (!recorded) return base::Wrap(std::move(recorded.error()), path);
  if (!recorded->shape || recorded->trace.samples.empty())
    return Refuse(path + ": no job's reads are recorded there");
  TraceSlice const slice = WholeEpochs(recorded->trace);
  if (1.0 * static_cast<double>(slice.end - slice.first) * round_count > kReadCountMax)
    return Refuse("more than 4,000,000,000 reads");
  return SimRun{.shape = *std::move(recorded->shape),
                .trace = Repeat(recorded->trace, slice, round_count),
                .is_recorded = true};
}

base::Result<SimRun> MakeOrLoadRun(const CommandLine& line, SimOptions& options) {
  std::string const text = line.Value("trace").value_or("uniform");
  if (ParseTraceKind(text)) return MakeRun(options);
  // It has one order: SHADE, who draws its own, is no part of "all".
  if (line.Value("policy").value_or("all") == "all") std::erase(options.policies, "shade");
  return LoadRun(text, line.Has("epochs") ? options.trace.epoch_count : 2);
}

int RunEpochs(const std::vector<std::string>& words) {
  CommandLine const line(EpochsOptions(), words);
  if (line.ended()) return line.status();
  auto options = Judge(line);
  if (!options) return line.Misused(options.error().message);

  // Before the work, not after minutes of it.
  std::ofstream svg;
  if (auto const path = line.Value("svg")) {
    svg.open(*path);
    if (!svg) return Say("cannot write " + *path, kExitFailed);
  }
  auto const run = MakeOrLoadRun(line, *options);
  if (!run) return Say(run.error().message, ExitStatusOf(run.error()));
  std::vector<SimRow> rows;
  for (const std::string& policy : options->policies) {
    for (double const memory : options->memory) {
      auto row = RunPolicy(*options, *run, policy, memory);
      if (!row) return Say(row.error().message, ExitStatusOf(row.error()));
      rows.push_back(*std::move(row));
    }
  }
  auto const bound = [&](double memory) { return BoundOf(run->trace, memory); };
  std::fputs((line.Has("json") ? SimJson(rows) : SimTable(rows, bound)).c_str(), stdout);
  if (svg.is_open()) {
    std::string const title = std::to_string(run->shape.sample_count()) + " samples, " +
                              std::to_string(run->shape.chunk_count()) + " chunks, " +
                              line.Value("trace").value_or("uniform");
    svg << SimSvg(rows, title, bound);
    svg.close();
    if (!svg) return Say("cannot write " + *line.Value("svg"), kExitFailed);
  }
  return std::fflush(stdout) == 0 ? kExitDone : kExitFailed;
}

int Run(const std::vector<std::string>& words) {
  std::string const command = words.empty() ? "" : words[0];
  std::vector<std::string> const rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (command == "epochs") return RunEpochs(rest);
  if (command == "--version") {
    std::printf("stokesim %s\n", std::string(kVersion).c_str());
    return kExitDone;
  }
  if (command == "--help" || command == "-h" || command == "help") {
    std::fputs(kHelp, stdout);
    return kExitDone;
  }
  return Say((command.empty() ? "a command is missing" : "no such command: " + command) +
                 " (see stokesim --help)",
             kExitRefused);
}

}  // namespace
}  // namespace stokefs::tools

int main(int count, char** words) {
  stokefs::tools::OpenStandardStreams();
  try {
    return stokefs::tools::Run(std::vector<std::string>(words + (count > 0), words + count));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stokesim: %s\n", error.what());
    return stokefs::tools::kExitFailed;
  }
}
