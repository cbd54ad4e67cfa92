// The version that Meson was told, for --version and the statistics.
#pragma once

namespace stokefs::tools {

inline constexpr char kVersion[] = STOKEFS_VERSION;

}  // namespace stokefs::tools
