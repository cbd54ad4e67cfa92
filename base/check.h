// CHECK: a bug is not an error. Always on; says where and what, then aborts.
#pragma once

namespace stokefs::base {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace stokefs::base

#define STOKEFS_CHECK(condition)                                    \
  do {                                                              \
    if (!(condition)) [[unlikely]]                                  \
      ::stokefs::base::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)
