// Taking mounts away: plainly, lazily, or by cutting the kernel's connection to their daemon.
// As root by system calls, else through fusermount3. None of these waits more than 5 s.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace stokefs::tools {

enum class DetachKind : uint8_t {
  kPlain,  // device_or_resource_busy while something uses it
  kLazy,   // out of the tree at once, gone when its last user is
};
base::Status Detach(const std::string& mount_point, DetachKind kind);

// All waiting requests fail, all later ones too. `number`: the minor of the mount's device. Mounts
// fusectl when root and it is not there.
base::Status AbortConnection(uint32_t number);

// Requests that wait for the daemon; none where fusectl is not mounted or not readable.
std::optional<uint64_t> WaitingRequests(uint32_t number);

}  // namespace stokefs::tools
