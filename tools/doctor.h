// `stokefs doctor`: what this machine offers, and what to do about each lack.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/list_command.h"

namespace stokefs::tools {

enum class Need : uint8_t { kMount, kExtra };  // without it no mount is possible / less is

struct Finding {
  std::string name;  // "/dev/fuse"
  bool ok = false;
  Need need = Need::kExtra;
  std::string found;   // what is there
  std::string advice;  // what to do where it is not; empty: nothing needs doing
};

std::vector<Finding> ExamineKernel();                          // doctor_kernel.cc
std::vector<Finding> ExamineMemory();                          // doctor_kernel.cc: limits too
std::vector<Finding> ExamineCache(const std::string& folder);  // doctor_machine.cc
std::vector<Finding> ExaminePackages();                        // doctor_machine.cc
std::vector<Finding> ExamineGpu();                             // doctor_machine.cc

// Prints all; returns the exit status: done where mounting is possible.
int Doctor(const std::vector<std::string>& cache_dirs, OutputForm form);

}  // namespace stokefs::tools
