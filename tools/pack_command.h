// `stokefs pack`: writes a dataset as chunk files.
#pragma once

#include <string>

#include "tools/config.h"
#include "tools/list_command.h"

namespace stokefs::tools {

struct PackRequest {
  // source, layout and scan_threads are used; paths absolute.
  MountConfig config;
  std::string out;  // absolute
  uint32_t threads = 16;
  OutputForm form = OutputForm::kText;
};

// Returns the exit status. Progress goes to standard error when that is a terminal, the sums to
// standard output.
int PackDataset(const PackRequest& request);

}  // namespace stokefs::tools
