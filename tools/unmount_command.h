// `stokefs unmount`: takes a mount away and waits until its daemon has ended.
#pragma once

#include <cstdint>
#include <string>

namespace stokefs::tools {

enum class UnmountKind : uint8_t {
  kPlain,  // refused while something uses the mount, which is then named
  kForce,  // cuts the connection: waiting readers get an error; a daemon that hangs is killed
};

// Returns the exit status.
int Unmount(const std::string& path, UnmountKind kind);

}  // namespace stokefs::tools
