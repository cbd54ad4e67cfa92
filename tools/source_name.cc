#include "tools/source_name.h"

#include <string_view>

namespace stokefs::tools {
namespace {

constexpr std::string_view kPackedPrefix = "packed:";

}  // namespace

SourceName SourceName::Parse(const std::string& text) {
  if (!text.starts_with(kPackedPrefix)) return {SourceKind::kDirectory, text};
  return {SourceKind::kPacked, text.substr(kPackedPrefix.size())};
}

std::string SourceName::Text() const {
  return (kind == SourceKind::kPacked ? std::string(kPackedPrefix) : std::string()) + path;
}

}  // namespace stokefs::tools
