// What the child of catalog_load.h runs.
#pragma once

#include <cstdint>
#include <string>

#include "cache/folder_record.h"

namespace stokefs::cache {

enum class CatalogLoadPurpose : uint8_t { kSend, kVerify };

// Verifies the catalog at `path` and, to send it, streams it to `pipe`; never returns.
[[noreturn]] void RunCatalogLoadChild(const std::string& path, const CatalogSource& expected,
                                      CatalogLoadPurpose purpose, int pipe);

}  // namespace stokefs::cache
