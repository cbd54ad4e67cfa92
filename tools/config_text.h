// The configuration in force, as the TOML that would give it again.
#pragma once

#include <string>

#include "tools/config.h"

namespace stokefs::tools {

std::string ConfigText(const MountConfig& config);

}  // namespace stokefs::tools
