// What SOURCE may be, as it is written: a folder, or "packed:" and a folder that stokefs pack made.
#pragma once

#include <cstdint>
#include <string>

namespace stokefs::tools {

enum class SourceKind : uint8_t { kDirectory, kPacked };

struct SourceName {
  SourceKind kind = SourceKind::kDirectory;
  std::string path;

  // A folder whose own name begins with "packed:" is written with "./" in front.
  static SourceName Parse(const std::string& text);
  std::string Text() const;
};

}  // namespace stokefs::tools
