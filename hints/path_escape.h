// How a path is written as one word of a line: in hints, and in what the mount shows to trainers.
#pragma once

#include <string>
#include <string_view>

namespace stokefs::hints {

// `%`, blanks and control bytes (0x00-0x20, 0x7f) as %XX, and a `#` in front, which would otherwise
// begin an index. All other bytes are as they are, those of no valid UTF-8 too.
std::string EscapePath(std::string_view path);

}  // namespace stokefs::hints
