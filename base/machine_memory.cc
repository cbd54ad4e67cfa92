#include "base/machine_memory.h"

#include <algorithm>
#include <cstdlib>

#include "base/file.h"

namespace stokefs::base {
namespace {

std::string Text(const std::string& path) {
  Result<std::string> text = ReadFile(path);
  return text ? std::move(*text) : std::string();
}

// The group's path in one line of /proc/self/cgroup: "0::/a" (v2) or "7:memory:/a" (v1).
std::string GroupOf(const std::string& groups, std::string_view marker) {
  for (size_t start = 0; start < groups.size();) {
    size_t end = groups.find('\n', start);
    if (end == std::string::npos) end = groups.size();
    std::string_view const line(groups.data() + start, end - start);
    start = end + 1;
    size_t const at = line.find(marker);
    if (at != std::string_view::npos) return std::string(line.substr(at + marker.size()));
  }
  return {};
}

// A limit counts for the groups below it, too: the least of all on the way up.
uint64_t LeastLimit(const std::string& mount, std::string group, const std::string& file) {
  uint64_t least = UINT64_MAX;
  for (;;) {
    std::string const text = Text(mount + group + "/" + file);
    uint64_t const limit = std::strtoull(text.c_str(), nullptr, 10);  // "max" is 0
    if (limit != 0) least = std::min(least, limit);
    size_t const slash = group.rfind('/');
    if (slash == std::string::npos) return least;
    group.resize(slash);
  }
}

}  // namespace

uint64_t MeminfoBytes(std::string_view meminfo, std::string_view name) {
  for (size_t at = meminfo.find(name); at != std::string_view::npos;
       at = meminfo.find(name, at + 1)) {
    bool const starts_line = at == 0 || meminfo[at - 1] == '\n';
    size_t const colon = at + name.size();
    if (!starts_line || colon >= meminfo.size() || meminfo[colon] != ':') continue;
    return std::strtoull(std::string(meminfo.substr(colon + 1, 32)).c_str(), nullptr, 10) * 1024;
  }
  return 0;
}

MachineMemory ReadMachineMemory() {
  MachineMemory memory;
  std::string const meminfo = Text("/proc/meminfo");
  memory.total_bytes = MeminfoBytes(meminfo, "MemTotal");
  memory.available_bytes = MeminfoBytes(meminfo, "MemAvailable");
  std::string const groups = Text("/proc/self/cgroup");
  memory.limit_bytes = std::min(
      LeastLimit("/sys/fs/cgroup", GroupOf(groups, "0::"), "memory.max"),
      LeastLimit("/sys/fs/cgroup/memory", GroupOf(groups, ":memory:"), "memory.limit_in_bytes"));
  if (memory.limit_bytes >= memory.total_bytes) memory.limit_bytes = UINT64_MAX;
  return memory;
}

}  // namespace stokefs::base
