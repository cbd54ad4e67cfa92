// How much memory there is: the machine's, and what the control group leaves of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stokefs::base {

struct MachineMemory {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;  // without swapping, as the kernel estimates
  uint64_t limit_bytes = 0;      // of this process's control group; UINT64_MAX: none
};

// Reads /proc/meminfo and the memory controller of cgroup v2 or v1. What cannot be read is 0
// (limit: none).
MachineMemory ReadMachineMemory();

// The value in bytes of a "Name:   123 kB" line of /proc/meminfo; 0 when it is not there.
uint64_t MeminfoBytes(std::string_view meminfo, std::string_view name);

}  // namespace stokefs::base
