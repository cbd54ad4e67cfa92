// The simulator's rows as a table, as JSON and as curves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/sim_epochs.h"

namespace stokefs::tools {

// Columns for people; `bound(memory)` stands beside each hit ratio.
std::string SimTable(const std::vector<SimRow>& rows, const std::function<double(double)>& bound);
// One array of {policy, memory, hit_ratio, reads_per_sample, loads_per_chunk, coverage}.
std::string SimJson(const std::vector<SimRow>& rows);
// Hit ratio over memory, a curve for each policy, and the bound as a dashed line.
std::string SimSvg(const std::vector<SimRow>& rows, const std::string& title,
                   const std::function<double(double)>& bound);

}  // namespace stokefs::tools
