#include "cache/path_list.h"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/file.h"

namespace stokefs::cache {
namespace {

constexpr std::string_view kMagic = "stokefs-paths 1 ";
constexpr size_t kDigitCount = 16;
constexpr size_t kFileBytesMax = 64u << 20;

std::string HeadOf(std::string_view body) {
  char digits[kDigitCount + 1];
  snprintf(digits, sizeof(digits), "%016llx",
           static_cast<unsigned long long>(XXH3_64bits(body.data(), body.size())));
  return std::string(kMagic) + digits + "\n";
}

}  // namespace

std::string EncodePathList(const std::vector<std::string>& paths) {
  std::string body;
  for (std::string const& path : paths) {
    body += path;
    body += '\0';
  }
  return HeadOf(body) + body;
}

base::Result<std::vector<std::string>> ParsePathList(std::string_view bytes) {
  size_t const head_bytes = kMagic.size() + kDigitCount + 1;
  if (bytes.size() < head_bytes) return base::FailErrno(EBADMSG, "list of paths");
  std::string_view body = bytes.substr(head_bytes);
  if (bytes.substr(0, head_bytes) != HeadOf(body) || (!body.empty() && body.back() != '\0')) {
    return base::FailErrno(EBADMSG, "list of paths");
  }
  std::vector<std::string> paths;
  while (!body.empty()) {
    size_t const end = body.find('\0');
    paths.emplace_back(body.substr(0, end));
    body.remove_prefix(end + 1);
  }
  return paths;
}

base::Result<std::optional<std::vector<std::string>>> LoadPathList(const std::string& file) {
  auto const bytes = base::ReadFile(file, kFileBytesMax);
  if (!bytes && bytes.error().Errno() == ENOENT) return std::optional<std::vector<std::string>>();
  if (!bytes) return tl::unexpected<base::Error>(bytes.error());
  auto paths = ParsePathList(*bytes);
  if (!paths) return base::Wrap(std::move(paths.error()), file);
  return std::optional(std::move(*paths));
}

base::Status SavePathList(const std::string& file, const std::vector<std::string>& paths) {
  return base::WriteFileAtomically(file, EncodePathList(paths));
}

base::Status RemovePathList(const std::string& file) {
  if (unlink(file.c_str()) != 0 && errno != ENOENT) return base::FailErrno(errno, file);
  return {};
}

bool IsAtOrBelow(std::string_view path, std::string_view above) {
  if (above.empty()) return true;
  if (!path.starts_with(above)) return false;
  return path.size() == above.size() || path[above.size()] == '/';
}

std::vector<std::string> WithoutNested(std::vector<std::string> paths) {
  // Not by the order of bytes alone: "a-b" stands between "a" and "a/b".
  std::sort(paths.begin(), paths.end(), [](const std::string& a, const std::string& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
      auto const key = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c); };
      return key(x) < key(y);
    });
  });
  std::vector<std::string> outer;
  for (std::string& path : paths) {
    if (outer.empty() || !IsAtOrBelow(path, outer.back())) outer.push_back(std::move(path));
  }
  return outer;
}

}  // namespace stokefs::cache
