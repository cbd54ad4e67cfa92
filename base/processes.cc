#include "base/processes.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>

namespace stokefs::base {
namespace {

std::string PathOf(uint32_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

// 0 when the thread is gone.
uint32_t ThreadGroupOf(uint32_t thread_id) {
  std::ifstream status(PathOf(thread_id, "status"));
  constexpr std::string_view kKey = "Tgid:";  // a process may bear this name, but on another line
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kKey))
      return static_cast<uint32_t>(std::strtoul(line.c_str() + kKey.size(), nullptr, 10));
  }
  return 0;
}

std::string ExecutableOf(uint32_t pid) {
  char path[PATH_MAX];
  ssize_t const length = readlink(PathOf(pid, "exe").c_str(), path, sizeof(path));
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : std::string();
}

}  // namespace

std::optional<ProcessFacts> RealProcesses::Of(uint32_t thread_id) const {
  ProcessFacts facts;
  facts.pid = ThreadGroupOf(thread_id);
  if (facts.pid == 0) return std::nullopt;
  std::ifstream file(PathOf(facts.pid, "stat"));
  // All of it. Not by an iterator over the buffer: that throws when the process ends meanwhile.
  std::string stat;
  std::getline(file, stat, '\0');
  size_t const name_end = stat.rfind(')');  // the name before may hold anything
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name_end + 1));
  constexpr int kStartTimeField = 22;
  std::string field;
  for (int i = 3; i <= kStartTimeField && fields >> field; ++i) {
    if (i == 3 && (field == "Z" || field == "X")) return std::nullopt;
    auto const value = std::strtoull(field.c_str(), nullptr, 10);
    if (i == 4) facts.parent = static_cast<uint32_t>(value);
    if (i == 6) facts.session = static_cast<uint32_t>(value);
    if (i == kStartTimeField) facts.started = value;
  }
  if (facts.started == 0) return std::nullopt;
  facts.executable = ExecutableOf(facts.pid);
  return facts;
}

}  // namespace stokefs::base
