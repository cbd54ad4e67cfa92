// The simulator's flags as text, judged. Errors are EINVAL and name the flag and the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stokefs::tools {

struct SimRange {
  double min = 0;
  double max = 0;
};

base::Result<uint64_t> ParseSimCount(std::string_view flag, const std::string& text,
                                     SimRange range);
base::Result<double> ParseSimNumber(std::string_view flag, const std::string& text, SimRange range);
// Fractions above 0 and at most 1, with commas between them.
base::Result<std::vector<double>> ParseSimMemory(const std::string& text);
// `all`, or names with commas between them, each once.
base::Result<std::vector<std::string>> ParseSimPolicies(const std::string& text);

}  // namespace stokefs::tools
