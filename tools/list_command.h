// `stokefs list`: this user's mounts and how they are, never hanging.
#pragma once

#include <cstdint>

namespace stokefs::tools {

enum class OutputForm : uint8_t { kText, kJson };

// Returns the exit status.
int ListMounts(OutputForm form);

}  // namespace stokefs::tools
