#include "tools/command_paths.h"

#include <array>
#include <charconv>
#include <utility>

#include "tools/exit_status.h"

namespace stokefs::tools {
namespace {

using Json = nlohmann::ordered_json;

// `path` without the folder `above` in front, when it lies there.
std::optional<std::string_view> Below(std::string_view path, std::string_view above) {
  while (above.ends_with('/')) above.remove_suffix(1);
  if (!path.starts_with(above)) return std::nullopt;
  path.remove_prefix(above.size());
  if (!path.empty() && !path.starts_with('/')) return std::nullopt;
  return path;
}

std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (char const c : bytes) {
    auto const byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<std::string> FromHex(std::string_view digits) {
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    unsigned byte = 0;
    const char* const first = digits.data() + i;
    auto const [end, error] = std::from_chars(first, first + 2, byte, 16);
    if (error != std::errc{} || end != first + 2) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace

std::optional<std::string> CleanPath(std::string_view path) {
  if (path.find('\0') != path.npos) return std::nullopt;
  std::string clean;
  while (!path.empty()) {
    size_t const slash = std::min(path.find('/'), path.size());
    std::string_view const part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (clean.empty()) return std::nullopt;
      size_t const last = clean.rfind('/');
      clean.resize(last == clean.npos ? 0 : last);
      continue;
    }
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  return clean;
}

base::Result<std::string> PathBelow(const std::string& word, const std::string& mount_as_given,
                                    const std::string& mount_point) {
  std::optional<std::string_view> below = word;
  if (word.empty()) return Refuse("an empty PATH");
  if (word.starts_with('/')) {
    below = Below(word, mount_point);
    if (!below && mount_as_given.starts_with('/')) below = Below(word, mount_as_given);
  }
  auto const clean = below ? CleanPath(*below) : std::nullopt;
  if (!clean) return Refuse(word + " does not lie in " + mount_point);
  return *clean;
}

Json PathJson(const std::string& path) {
  std::string const text = Json(path).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (Json::parse(text) == path) return path;
  return {{"hex", Hex(path)}};
}

std::optional<std::string> ParsePathJson(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_object() || !json.contains("hex") || !json["hex"].is_string()) return std::nullopt;
  return FromHex(json["hex"].get<std::string>());
}

base::Result<std::vector<std::string>> PathsOf(const Json& request) {
  std::vector<std::string> paths;
  if (!request.contains("paths")) return paths;
  if (!request["paths"].is_array()) return Refuse("\"paths\" is no array");
  for (const Json& json : request["paths"]) {
    auto const path = ParsePathJson(json);
    auto const clean = path ? CleanPath(*path) : std::nullopt;
    if (!clean) return Refuse("a path of the request lies outside the mount or is no path");
    paths.push_back(*clean);
  }
  return paths;
}

}  // namespace stokefs::tools
