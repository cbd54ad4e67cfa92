// The daemon's side of the control file `trace`.
#pragma once

#include "cache/epoch_engine.h"
#include "tools/config.h"
#include "tools/trace_text.h"

namespace stokefs::tools {

RecordedTrace RecordTrace(const cache::JobTraceReport& report, const MountConfig& config);

}  // namespace stokefs::tools
