#include "cache/link_target.h"

#include <optional>

#include "cache/folder_listing.h"

namespace stokefs::cache {
namespace {

// Takes the next component off `rest`, skipping empty ones and "."; empty at the end.
std::string_view NextComponent(std::string_view& rest) {
  for (;;) {
    size_t const start = rest.find_first_not_of('/');
    if (start == rest.npos) {
      rest = {};
      return {};
    }
    rest.remove_prefix(start);
    size_t const end = std::min(rest.find('/'), rest.size());
    std::string_view const component = rest.substr(0, end);
    rest.remove_prefix(end);
    if (component != ".") return component;
  }
}

size_t Depth(std::string_view path) {
  size_t depth = 0;
  while (!NextComponent(path).empty()) ++depth;
  return depth;
}

// Whether `path`, walked from `depth` levels below the top, stays at or below the top.
bool StaysInside(size_t depth, std::string_view path) {
  for (;;) {
    std::string_view const component = NextComponent(path);
    if (component.empty()) return true;
    if (component != "..") {
      ++depth;
    } else if (depth-- == 0) {
      return false;
    }
  }
}

// What is left of the absolute `target` below `source`.
std::optional<std::string_view> Below(std::string_view source, std::string_view target) {
  for (;;) {
    std::string_view const expected = NextComponent(source);
    if (expected.empty()) return target;
    if (NextComponent(target) != expected) return std::nullopt;
  }
}

std::string RelativeTo(size_t depth, std::string_view inside) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += "../";
  size_t const start = inside.find_first_not_of('/');
  if (start != inside.npos) return text += inside.substr(start);
  if (text.empty()) return ".";
  text.pop_back();
  return text;
}

}  // namespace

ShownLink ShowLink(std::string_view folder_path, std::string_view target,
                   const std::vector<std::string>& source_paths) {
  size_t const depth = Depth(folder_path);
  if (target.substr(0, 1) != "/") {
    return {.text = std::string(target), .leaves = !StaysInside(depth, target)};
  }
  for (std::string const& source : source_paths) {
    auto const inside = Below(source, target);
    if (!inside || !StaysInside(0, *inside)) continue;
    std::string text = RelativeTo(depth, *inside);
    if (text.size() <= FolderListing::kTargetBytesMax) return {.text = std::move(text)};
  }
  return {.text = std::string(target), .leaves = true};
}

}  // namespace stokefs::cache
