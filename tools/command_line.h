// One command's words after cxxopts: flags in their order, mistakes as one line.
// Includes cxxopts, so only the files with a main() include this.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cxxopts.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/exit_status.h"

namespace stokefs::tools {

// A program may be started without standard streams. Then no descriptor of ours may take their
// place: it would be written to, or closed, as one of them.
inline void OpenStandardStreams() {
  int fd = 0;
  while (fd >= 0 && fd <= 2) fd = open("/dev/null", O_RDWR);
  if (fd > 2) close(fd);
}

class CommandLine {
 public:
  struct Given {
    std::string name;
    std::string value;
  };

  // Adds --help. Groups of the name "hidden" are not shown there (positional words).
  CommandLine(cxxopts::Options options, const std::vector<std::string>& words)
      : program_(options.program()) {
    options.add_options()("h,help", "this text");
    // A word of cxxopts is a flag of either spelling: --cache-dir and --cache_dir.
    std::vector<std::string> spelled = {program_};
    bool flags_ended = false;
    for (const std::string& word : words) {
      flags_ended = flags_ended || word == "--";
      spelled.push_back(flags_ended ? word : WithDashes(word));
    }
    std::vector<const char*> pointers;
    pointers.reserve(spelled.size());
    for (const std::string& word : spelled) pointers.push_back(word.c_str());
    try {
      auto const result = options.parse(static_cast<int>(pointers.size()), pointers.data());
      if (result.count("help") > 0) {
        std::fputs(options.help({""}).c_str(), stdout);
        ended_with_ = kExitDone;
      } else if (!result.unmatched().empty()) {
        ended_with_ = Misused("too many words: " + result.unmatched()[0]);
      }
      for (const auto& given : result.arguments()) flags_.push_back({given.key(), given.value()});
    } catch (const std::exception& error) {
      ended_with_ = Misused(error.what());
    }
  }

  bool ended() const { return ended_with_.has_value(); }
  int status() const { return *ended_with_; }
  const std::vector<Given>& flags() const { return flags_; }
  bool Has(const std::string& name) const { return Value(name).has_value(); }
  std::optional<std::string> Value(const std::string& name) const {
    std::optional<std::string> last;
    for (const Given& given : flags_)
      if (given.name == name) last = given.value;
    return last;
  }

  // Says so; returns the exit status.
  int Misused(const std::string& text) const {
    std::string const name = program_.substr(0, program_.find(' '));
    std::fprintf(stderr, "%s: %s (see %s --help)\n", name.c_str(), text.c_str(), program_.c_str());
    return kExitRefused;
  }

 private:
  static std::string WithDashes(std::string word) {
    if (!word.starts_with("--")) return word;
    for (char& c : word) {
      if (c == '=') break;
      if (c == '_') c = '-';
    }
    return word;
  }

  std::string program_;
  std::vector<Given> flags_;
  std::optional<int> ended_with_;
};

}  // namespace stokefs::tools
