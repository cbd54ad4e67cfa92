// Each field of MountConfig under its name, once: for the flags, the TOML keys, their help, their
// parsers. Names are written with '-'.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/config.h"

namespace stokefs::tools {

enum class KeyKind : uint8_t { kText, kList, kSize, kCount, kDuration, kSwitch };

struct ConfigKey {
  std::string_view name;        // "cache-dir"
  std::string_view short_flag;  // "o" or empty
  KeyKind kind;
  std::string_view value_name;  // of the help: "DIR"
  std::string_view help;
  // Stores the values (one; for kList any number) in the field. Errors name the value, not the key.
  base::Status (*set)(MountConfig& config, const std::vector<std::string>& values);
};

std::span<const ConfigKey> ConfigKeys();
const ConfigKey* FindConfigKey(std::string_view name);  // '-' and '_' alike; null: unknown

}  // namespace stokefs::tools
