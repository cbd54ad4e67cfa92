// The command `stokefs`: mount, pack, unmount, list, doctor.
#include <cstdio>
#include <cxxopts.hpp>
#include <string>
#include <vector>

#include "tools/command_line.h"
#include "tools/config.h"
#include "tools/config_keys.h"
#include "tools/doctor.h"
#include "tools/exit_status.h"
#include "tools/list_command.h"
#include "tools/mount_command.h"
#include "tools/pack_command.h"
#include "tools/unmount_command.h"
#include "tools/version.h"

namespace stokefs::tools {
namespace {

constexpr const char* kHelp =
    "stokefs keeps accelerators fed: it shows a training dataset as read-only files.\n"
    "\n"
    "Usage:\n"
    "  stokefs mount SOURCE MNT [FLAGS]   show the dataset SOURCE at MNT\n"
    "  stokefs pack SOURCE OUT [FLAGS]    write the dataset SOURCE as chunk files into OUT\n"
    "  stokefs unmount MNT [--force]      take a mount away and wait for its daemon's end\n"
    "  stokefs list [--json]              this user's mounts and how they are\n"
    "  stokefs doctor [--json]            what this machine offers, and what to do about a lack\n"
    "  stokefs COMMAND --help             the flags of a command\n"
    "  stokefs --version\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage or refused, 3 no answer in time.\n";

cxxopts::Options MountOptions() {
  cxxopts::Options options("stokefs mount", "Shows the dataset SOURCE at MNT.");
  options.custom_help("SOURCE MNT [FLAGS]");
  options.positional_help("");
  auto add = options.add_options();
  for (const ConfigKey& key : ConfigKeys()) {
    std::string const dash = key.short_flag.empty() ? "" : std::string(key.short_flag) + ",";
    if (key.kind == KeyKind::kSwitch)
      add(dash + std::string(key.name), std::string(key.help));
    else
      add(dash + std::string(key.name), std::string(key.help), cxxopts::value<std::string>(),
          std::string(key.value_name));
  }
  add("config", "a TOML file whose keys are these flags' names; flags override it",
      cxxopts::value<std::string>(), "FILE");
  options.parse_positional({"source", "mount-point"});
  options.show_positional_help();  // they are flags as well, as they are keys of the file
  return options;
}

int RunMount(const std::vector<std::string>& arguments) {
  CommandLine const line(MountOptions(), arguments);
  if (line.ended()) return line.status();
  std::string toml_file;
  std::vector<Flag> flags;
  for (const auto& given : line.flags()) {
    if (given.name == "config")
      toml_file = given.value;
    else
      flags.push_back({given.name, given.value});
  }
  auto const config = ReadMountConfig(toml_file, flags, Surroundings::Read());
  if (config) return Mount(*config);
  std::fprintf(stderr, "stokefs: %s\n", config.error().message.c_str());
  return ExitStatusOf(config.error());
}

OutputForm FormOf(const CommandLine& line) {
  return line.Has("json") ? OutputForm::kJson : OutputForm::kText;
}

int RunPack(const std::vector<std::string>& arguments) {
  cxxopts::Options options("stokefs pack",
                           "Writes the dataset SOURCE as chunk files into the folder OUT, which\n"
                           "stokefs mount packed:OUT MNT shows.");
  options.custom_help("SOURCE OUT [FLAGS]").positional_help("");
  auto add = options.add_options();
  add("threads", "threads that read the source and write (default: 16)",
      cxxopts::value<std::string>(), "N");
  constexpr const char* kLayoutKeys[] = {"chunk-bytes", "chunk-samples", "large-file-bytes"};
  for (const char* const name : kLayoutKeys) {
    const ConfigKey& key = *FindConfigKey(name);
    add(name, std::string(key.help), cxxopts::value<std::string>(), std::string(key.value_name));
  }
  add("json", "for programs");
  options.add_options("hidden")("source", "", cxxopts::value<std::string>())(
      "out", "", cxxopts::value<std::string>());
  options.parse_positional({"source", "out"});
  CommandLine const line(std::move(options), arguments);
  if (line.ended()) return line.status();
  std::string const folder = Surroundings::Read().working_folder;
  PackRequest request{.form = FormOf(line)};
  request.config.source = MakeAbsolute(line.Value("source").value_or(""), folder);
  request.out = MakeAbsolute(line.Value("out").value_or(""), folder);
  if (request.config.source.empty()) return line.Misused("SOURCE is missing");
  if (request.out.empty()) return line.Misused("OUT is missing");
  for (const auto& given : line.flags()) {
    // "threads" is parsed as one of a mount's counts of threads is.
    bool const is_threads = given.name == "threads";
    const ConfigKey* const key = FindConfigKey(is_threads ? "scan-threads" : given.name);
    if (key == nullptr || given.name == "source") continue;
    if (base::Status set = key->set(request.config, {given.value}); !set)
      return line.Misused("--" + given.name + ": " + set.error().message);
    if (is_threads) request.threads = request.config.scan_threads;
  }
  return PackDataset(request);
}

int RunUnmount(const std::vector<std::string>& arguments) {
  cxxopts::Options options("stokefs unmount",
                           "Takes the mount at MNT away and waits until its daemon has ended.");
  options.custom_help("MNT [FLAGS]").positional_help("");
  options.add_options()(
      "force", "cut the connection: waiting readers get an error, a daemon that hangs is killed");
  options.add_options("hidden")("mount-point", "", cxxopts::value<std::string>());
  options.parse_positional({"mount-point"});
  CommandLine const line(std::move(options), arguments);
  if (line.ended()) return line.status();
  auto const mount_point = line.Value("mount-point");
  if (!mount_point) return line.Misused("MNT is missing");
  return Unmount(*mount_point, line.Has("force") ? UnmountKind::kForce : UnmountKind::kPlain);
}

int RunList(const std::vector<std::string>& arguments) {
  cxxopts::Options options("stokefs list", "Lists this user's mounts and how they are.");
  options.custom_help("[FLAGS]");
  options.add_options()("json", "for programs");
  CommandLine const line(std::move(options), arguments);
  return line.ended() ? line.status() : ListMounts(FormOf(line));
}

int RunDoctor(const std::vector<std::string>& arguments) {
  cxxopts::Options options("stokefs doctor",
                           "Says what this machine offers, and what to do about each lack.");
  options.custom_help("[FLAGS]");
  options.add_options()("json", "for programs")("cache-dir",
                                                "a cache directory to look at; may be given again",
                                                cxxopts::value<std::string>(), "DIR");
  CommandLine const line(std::move(options), arguments);
  if (line.ended()) return line.status();
  std::vector<std::string> folders;
  for (const auto& given : line.flags())
    if (given.name == "cache-dir") folders.push_back(given.value);
  return Doctor(folders, FormOf(line));
}

int Run(const std::vector<std::string>& words) {
  std::string const command = words.empty() ? "" : words[0];
  std::vector<std::string> const rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (command == "mount") return RunMount(rest);
  if (command == "pack") return RunPack(rest);
  if (command == "unmount" || command == "umount") return RunUnmount(rest);
  if (command == "list") return RunList(rest);
  if (command == "doctor") return RunDoctor(rest);
  if (command == "--version") {
    std::printf("stokefs %s\n", std::string(kVersion).c_str());
    return kExitDone;
  }
  if (command == "--help" || command == "-h" || command == "help") {
    std::fputs(kHelp, stdout);
    return kExitDone;
  }
  std::fprintf(stderr, "stokefs: %s (see stokefs --help)\n",
               command.empty() ? "a command is missing" : ("no such command: " + command).c_str());
  return kExitRefused;
}

}  // namespace
}  // namespace stokefs::tools

int main(int count, char** words) {
  stokefs::tools::OpenStandardStreams();
  try {
    return stokefs::tools::Run(std::vector<std::string>(words + (count > 0), words + count));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stokefs: %s\n", error.what());
    return stokefs::tools::kExitFailed;
  }
}
