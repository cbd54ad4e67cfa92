// Paths of a dataset as users write them, and as requests and answers carry them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace stokefs::tools {

// A path below the mount, without "." and "..", doubled slashes or slashes at its ends; "" is the
// mount itself. None when it leads out or holds a NUL. By its text alone: nothing is looked up.
std::optional<std::string> CleanPath(std::string_view path);

// `word`: a path below the mount, or an absolute one inside it, by either of the mount's names.
// Refused when it leads elsewhere.
base::Result<std::string> PathBelow(const std::string& word, const std::string& mount_as_given,
                                    const std::string& mount_point);

// JSON strings are UTF-8; a path that is none is {"hex": "..."}, two digits a byte.
nlohmann::ordered_json PathJson(const std::string& path);
std::optional<std::string> ParsePathJson(const nlohmann::ordered_json& json);

// The clean paths in `request["paths"]`; none when there is no such key. EINVAL for anything else.
base::Result<std::vector<std::string>> PathsOf(const nlohmann::ordered_json& request);

}  // namespace stokefs::tools
