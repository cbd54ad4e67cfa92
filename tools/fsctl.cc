// The command `fsctl`: asks a mount how it is, and steers it.
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "tools/command_line.h"
#include "tools/exit_status.h"
#include "tools/follow_command.h"
#include "tools/fsctl_commands.h"
#include "tools/version.h"

namespace stokefs::tools {
namespace {

constexpr const char* kHelp =
    "fsctl asks a stokefs mount how it is, and steers it.\n"
    "\n"
    "Usage:\n"
    "  fsctl stats MNT [--watch [SECONDS]] [--json]   what was read, and from where\n"
    "  fsctl why MNT [--json]                         what jobs wait for, and what would change "
    "it\n"
    "  fsctl events MNT                               what happened lately\n"
    "  fsctl config MNT                               what the mount was asked to be\n"
    "  fsctl refresh MNT                              take over what changed at the source\n"
    "  fsctl verify MNT                               check all that is cached\n"
    "  fsctl locate MNT PATH [--json]                 where a sample's bytes are\n"
    "  fsctl warmup MNT [PATH...] [--background]      fetch samples before they are read\n"
    "  fsctl warmup MNT --status | --stop             the warm-up in the background\n"
    "  fsctl evict MNT PATH... | --all                forget cached samples\n"
    "  fsctl pin MNT [PATH...]                        keep samples on disk; without PATH: list\n"
    "  fsctl unpin MNT PATH...                        keep them no longer\n"
    "  fsctl COMMAND --help                           the flags of a command\n"
    "  fsctl --version\n"
    "\n"
    "PATH lies below MNT, or is an absolute path inside it. A mount that does not answer is given\n"
    "up after 2 s; then fsctl says which process and which request is stuck. Long commands go on\n"
    "as long as the mount answers.\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage or no stokefs mount, 3 no answer in time.\n";

struct Command {
  const char* name;
  int (*run)(const Words&);
};

constexpr std::array kCommands = {
    Command{"stats", RunStats},     Command{"events", RunEvents}, Command{"config", RunConfig},
    Command{"refresh", RunRefresh}, Command{"verify", RunVerify}, Command{"locate", RunLocate},
    Command{"warmup", RunWarmup},   Command{"evict", RunEvict},   Command{"pin", RunPin},
    Command{"unpin", RunUnpin},     Command{"why", RunWhy},
};

int Run(const Words& words) {
  std::string const command = words.empty() ? "" : words[0];
  Words const rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  auto const found = std::find_if(kCommands.begin(), kCommands.end(),
                                  [&](const Command& known) { return known.name == command; });
  if (found != kCommands.end()) return found->run(rest);
  if (command == "--version") {
    std::printf("fsctl %s\n", std::string(kVersion).c_str());
    return kExitDone;
  }
  if (command == "--help" || command == "-h" || command == "help") {
    std::fputs(kHelp, stdout);
    return kExitDone;
  }
  return Say((command.empty() ? "a command is missing" : "no such command: " + command) +
                 " (see fsctl --help)",
             kExitRefused);
}

}  // namespace
}  // namespace stokefs::tools

int main(int count, char** words) {
  stokefs::tools::OpenStandardStreams();
  try {
    return stokefs::tools::Run(std::vector<std::string>(words + (count > 0), words + count));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fsctl: %s\n", error.what());
    return stokefs::tools::kExitFailed;
  }
}
