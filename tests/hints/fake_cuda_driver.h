// CUDA's driver with one device in this process's memory, whose only kernel is the seed search,
// carried out by Mt19937. Any call can be made to fail. One at a time: functions have no owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/cuda_driver.h"
#include "hints/cuda_seed_input.h"

namespace stokefs::testing {

class FakeCudaDriver {
 public:
  FakeCudaDriver();
  ~FakeCudaDriver();
  FakeCudaDriver(const FakeCudaDriver&) = delete;
  FakeCudaDriver& operator=(const FakeCudaDriver&) = delete;

  base::CudaDriver Table() const;

  // Calls up to `call_count`, counted from now, succeed; that one and all that follow fail, but for
  // those that give something back.
  void FailFrom(uint64_t call_count);
  // The next launches count more seeds than they were given.
  void CountWrong() { counts_wrong_ = true; }

  // Contexts, modules, streams, events and memory that were not given back, and contexts current.
  int HeldCount() const { return held_count_; }
  uint64_t CallCount() const { return call_count_; }
  uint64_t LaunchCount() const { return launch_count_; }
  const std::string& FailedCall() const { return failed_call_; }

 private:
  struct Functions;
  int Call(const char* name);
  void Launch(const hints::CudaSeedInput& input, uint64_t seed_count, uint32_t* passed_count,
              uint32_t* passed) const;

  std::array<hints::CudaSeedCondition, hints::kFilterConditionsMax> conditions_{};
  uint64_t call_count_ = 0;
  uint64_t fail_from_ = UINT64_MAX;
  uint64_t launch_count_ = 0;
  int held_count_ = 0;
  bool counts_wrong_ = false;
  std::string failed_call_;
};

}  // namespace stokefs::testing
