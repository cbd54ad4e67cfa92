#include "hints/folder_order.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

namespace stokefs::hints {
namespace {

constexpr std::array<std::string_view, 9> kImageExtensions = {
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"};

char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The part below `root`; none when the path does not lie there.
std::optional<std::string_view> Below(std::string_view path, std::string_view root) {
  if (root.empty()) return path;
  if (path.size() <= root.size() + 1 || !path.starts_with(root) || path[root.size()] != '/')
    return std::nullopt;
  return path.substr(root.size() + 1);
}

struct Entry {
  std::string_view group;   // the class
  std::string_view folder;  // below the root
  std::string_view name;
  uint32_t at = 0;

  bool operator<(const Entry& other) const {
    return std::tie(group, folder, name) < std::tie(other.group, other.folder, other.name);
  }
};

}  // namespace

bool HasImageExtension(std::string_view name) {
  return std::ranges::any_of(kImageExtensions, [&](std::string_view extension) {
    return name.size() >= extension.size() &&
           std::ranges::equal(name.substr(name.size() - extension.size()), extension, {},
                              LowerAscii);
  });
}

std::vector<uint32_t> FolderOrder(std::span<const std::string> paths, std::string_view root,
                                  FolderRule rule) {
  std::vector<Entry> entries;
  for (uint32_t at = 0; at < paths.size(); ++at) {
    auto const below = Below(paths[at], root);
    if (!below || (rule != FolderRule::kSortedFiles && !HasImageExtension(*below))) continue;
    Entry entry{.name = *below, .at = at};
    if (rule == FolderRule::kImageFolder) {
      auto const first = below->find('/'), last = below->rfind('/');
      if (first == std::string_view::npos) continue;
      entry.group = below->substr(0, first);
      entry.folder = below->substr(0, last);
      entry.name = below->substr(last + 1);
    }
    entries.push_back(entry);
  }
  std::sort(entries.begin(), entries.end());
  std::vector<uint32_t> order;
  order.reserve(entries.size());
  for (auto const& entry : entries) order.push_back(entry.at);
  return order;
}

std::vector<std::string> CandidateRoots(std::span<const std::string> paths) {
  std::vector<std::string> roots;
  if (paths.empty()) return roots;
  // The longest common prefix that is a folder, and above every file's own folder.
  std::string_view common = paths[0];
  for (auto const& path : paths) {
    auto const same = std::mismatch(common.begin(), common.end(), path.begin(), path.end()).first;
    common = common.substr(0, static_cast<size_t>(same - common.begin()));
  }
  size_t const shallowest = [&] {
    size_t depth = SIZE_MAX;
    for (auto const& path : paths)
      depth = std::min(depth, static_cast<size_t>(std::ranges::count(path, '/')));
    return depth;
  }();
  if (shallowest == 0) return roots;
  for (size_t end = common.rfind('/'); end != std::string_view::npos;
       end = end == 0 ? std::string_view::npos : common.rfind('/', end - 1)) {
    auto const root = common.substr(0, end);
    // A file must lie at least one folder below.
    if (static_cast<size_t>(std::ranges::count(root, '/')) + 2 <= shallowest)
      roots.emplace_back(root);
  }
  roots.emplace_back();
  return roots;
}

}  // namespace stokefs::hints
