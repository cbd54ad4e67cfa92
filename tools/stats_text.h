// A daemon's statistics for a person.
#pragma once

#include <string>

#include "base/result.h"

namespace stokefs::tools {

// `stats`: the daemon's JSON; what is missing there is left out here. `earlier`: an older answer
// `seconds` ago, from which rates are told; empty: none.
base::Result<std::string> StatsText(const std::string& mount_point, const std::string& stats,
                                    const std::string& earlier = "", double seconds = 0);

}  // namespace stokefs::tools
