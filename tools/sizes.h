// Sizes and durations as people write them: "4GiB", "500MB", "1.5GiB", "4096"; "30s", "500ms".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace stokefs::tools {

// Bytes. Units: none or B, kB or KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024).
// A fraction needs a unit and is rounded down to whole bytes. The error names the text.
base::Result<uint64_t> ParseSize(std::string_view text);

// Units: ns, us, ms, s, m, h; a bare "0" is the only number without one.
base::Result<base::Duration> ParseDuration(std::string_view text);

// "512 B", "1.5 GiB": at most four digits, for people.
std::string SizeText(double bytes);

}  // namespace stokefs::tools
