// One line for a person about a mount that does not answer: which process, and which request.
#pragma once

#include <string>

#include "tools/mount_question.h"

namespace stokefs::tools {

// `step`: the system call that hangs. `stats`: the daemon's statistics where its control mount
// still gave them, else empty; their oldest parked reads are told.
std::string StuckReport(const KnownMount& known, const std::string& step, const std::string& stats);

}  // namespace stokefs::tools
