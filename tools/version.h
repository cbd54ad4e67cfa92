#pragma once

namespace stokefs::tools {

inline constexpr char kVersion[] = STOKEFS_VERSION;  // meson's project version

}  // namespace stokefs::tools
