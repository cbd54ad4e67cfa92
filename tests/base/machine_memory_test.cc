#include "base/machine_memory.h"

#include <gtest/gtest.h>

namespace stokefs::base {
namespace {

TEST(MachineMemory, ReadsTheLineOfThatNameOnly) {
  std::string const text =
      "MemTotal:       24 kB\nMemFree:  7 kB\nXMemAvailable: 1 kB\n"
      "MemAvailable:   5 kB\n";
  EXPECT_EQ(MeminfoBytes(text, "MemTotal"), 24u * 1024);
  EXPECT_EQ(MeminfoBytes(text, "MemAvailable"), 5u * 1024);
  EXPECT_EQ(MeminfoBytes(text, "Mem"), 0u);
  EXPECT_EQ(MeminfoBytes("MemTotal", "MemTotal"), 0u);
}

TEST(MachineMemory, OfThisMachineIsPlausible) {
  MachineMemory const memory = ReadMachineMemory();
  EXPECT_GT(memory.total_bytes, 64u << 20);
  EXPECT_LE(memory.available_bytes, memory.total_bytes);
  EXPECT_GT(memory.limit_bytes, 0u);
}

}  // namespace
}  // namespace stokefs::base
