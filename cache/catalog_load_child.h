// What the child of catalog_load.h runs.
#pragma once

#include <string>

#include "cache/folder_record.h"

namespace stokefs::cache {

// Verifies the catalog at `path` and streams it to `pipe`; never returns.
[[noreturn]] void RunCatalogLoadChild(const std::string& path, const CatalogSource& expected,
                                      int pipe);

}  // namespace stokefs::cache
