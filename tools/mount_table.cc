#include "tools/mount_table.h"

#include <array>
#include <charconv>

#include "base/file.h"

namespace stokefs::tools {
namespace {

std::vector<std::string_view> SplitAt(std::string_view text, char separator) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    size_t const end = text.find(separator);
    if (end != 0) pieces.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return pieces;
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes blank, tab, line break and backslash as \ooo.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && IsOctal(text[i + 1]) && IsOctal(text[i + 2]) &&
        IsOctal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool ParseNumber(std::string_view text, uint32_t& into) {
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc{} && end == text.data() + text.size();
}

// id parent major:minor root mount_point options [optional...] - type source super_options
std::optional<MountEntry> ParseLine(std::string_view line) {
  auto const words = SplitAt(line, ' ');
  size_t dash = 6;
  while (dash < words.size() && words[dash] != "-") ++dash;
  if (dash + 2 >= words.size()) return {};
  MountEntry entry;
  size_t const colon = words[2].find(':');
  if (colon == std::string_view::npos || !ParseNumber(words[2].substr(0, colon), entry.major) ||
      !ParseNumber(words[2].substr(colon + 1), entry.minor))
    return {};
  entry.root = Unescape(words[3]);
  entry.mount_point = Unescape(words[4]);
  entry.type = Unescape(words[dash + 1]);
  entry.source = Unescape(words[dash + 2]);
  return entry;
}

}  // namespace

bool IsStokefs(const MountEntry& entry) {
  return entry.type == kDatasetMountType || entry.type == "fuse.stokefs-control";
}

bool IsAtOrBelow(std::string_view path, std::string_view folder) {
  if (folder == "/") return path.starts_with('/');
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

base::Result<MountTable> MountTable::Read() {
  // 64 MiB: a host of containers has thousands of mounts of some 200 bytes a line.
  auto text = base::ReadFile("/proc/self/mountinfo", 64u << 20);
  if (!text) return base::Wrap(std::move(text).error(), "the table of mounts");
  return Parse(*text);
}

MountTable MountTable::Parse(std::string_view text) {
  MountTable table;
  for (std::string_view const line : SplitAt(text, '\n'))
    if (auto entry = ParseLine(line)) table.entries_.push_back(*std::move(entry));
  return table;
}

std::optional<MountEntry> MountTable::At(std::string_view path) const {
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
    if (entry->mount_point == path) return *entry;
  return {};
}

std::optional<MountEntry> MountTable::Holding(std::string_view path) const {
  const MountEntry* best = nullptr;
  for (const MountEntry& entry : entries_)
    if (IsAtOrBelow(path, entry.mount_point) &&
        (!best || entry.mount_point.size() >= best->mount_point.size()))
      best = &entry;
  return best ? std::optional(*best) : std::nullopt;
}

}  // namespace stokefs::tools
