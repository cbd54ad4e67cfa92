#include "tools/mount_options.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "base/file.h"
#include "tools/exit_status.h"

namespace stokefs::tools {
namespace {

constexpr std::array<std::string_view, 9> kTaken = {
    "allow_other", "default_permissions", "ro",      "nosuid", "nodev", "noexec",
    "noatime",     "nodiratime",          "relatime"};
constexpr std::array<std::string_view, 10> kOfMountOnly = {
    "defaults", "auto", "noauto", "nofail", "user", "users", "nouser", "_netdev", "owner", "group"};

template <size_t N>
bool Contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

base::Status Judge(std::string_view word, std::vector<std::string>& taken) {
  std::string const text(word);
  if (Contains(kOfMountOnly, word) || word.starts_with("x-") || word.starts_with("comment="))
    return {};
  if (word == "rw")
    return Refuse("mount option rw: a stokefs mount is read-only, the source is never written");
  if (word == "subtype" || word.starts_with("subtype="))
    return Refuse("mount option " + text + ": the type is always fuse.stokefs, by which stale " +
                  "mounts are found");
  bool const name = word.starts_with("fsname=") && word.size() > 7;
  if (!name && !Contains(kTaken, word)) return Refuse("mount option \"" + text + "\" is not known");
  if (std::find(taken.begin(), taken.end(), word) == taken.end()) taken.push_back(text);
  return {};
}

}  // namespace

bool UsersMayAllowOthers() {
  auto const text = base::ReadFile("/etc/fuse.conf");
  std::istringstream lines(text ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    if (words >> word && word == "user_allow_other") return true;
  }
  return false;
}

base::Result<std::vector<std::string>> ParseMountOptions(std::string_view text) {
  std::vector<std::string> taken;
  while (!text.empty()) {
    size_t const comma = std::min(text.find(','), text.size());
    if (comma > 0)
      if (base::Status judged = Judge(text.substr(0, comma), taken); !judged)
        return Pass(judged.error());
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return taken;
}

}  // namespace stokefs::tools
