#include "tests/hints/fake_cuda_driver.h"

#include <cstring>
#include <vector>

#include "base/check.h"
#include "hints/mt19937.h"

namespace stokefs::testing {
namespace {

FakeCudaDriver* present = nullptr;

constexpr int kBroken = 719;  // CUDA_ERROR_LAUNCH_FAILED

void* AtAddress(base::CudaAddress address) { return reinterpret_cast<void*>(address); }

}  // namespace

FakeCudaDriver::FakeCudaDriver() {
  STOKEFS_CHECK(present == nullptr);
  present = this;
}

FakeCudaDriver::~FakeCudaDriver() { present = nullptr; }

void FakeCudaDriver::FailFrom(uint64_t call_count) {
  call_count_ = 0;
  fail_from_ = call_count;
}

int FakeCudaDriver::Call(const char* name) {
  if (call_count_++ < fail_from_) return 0;
  if (failed_call_.empty()) failed_call_ = name;
  return kBroken;
}

void FakeCudaDriver::Launch(const hints::CudaSeedInput& input, uint64_t seed_count,
                            uint32_t* passed_count, uint32_t* passed) const {
  std::vector<uint32_t> outputs(input.first_output + input.window_count);
  // From the last to the first: the device promises no order.
  for (uint64_t i = seed_count; i-- > 0;) {
    uint32_t const seed = input.first_seed + static_cast<uint32_t>(i);
    hints::Mt19937::FirstOutputs(seed, outputs);
    auto groups = input.groups;
    for (uint32_t at = 0; at < input.condition_count; ++at) {
      auto const& condition = conditions_[at];
      STOKEFS_CHECK(at == 0 || condition.window_index >= conditions_[at - 1].window_index);
      uint32_t const output = outputs[input.first_output + condition.window_index];
      uint32_t const quotient = (output - condition.remainder) * condition.inverse;
      uint32_t const left = (32 - condition.rotation) % 32;
      if (((quotient >> condition.rotation) | (quotient << left)) <= condition.limit) continue;
      for (uint32_t w = 0; w < hints::kGroupWords; ++w)
        groups.words[w] &= condition.others.words[w];
    }
    uint32_t any = 0;
    for (uint32_t const word : groups.words) any |= word;
    if (any == 0) continue;
    if (*passed_count < input.passed_max) passed[*passed_count] = seed;
    ++*passed_count;
  }
  if (counts_wrong_) *passed_count = static_cast<uint32_t>(seed_count) + 1;
}

// What cuda.h declares; see base/cuda_driver.h. Handles are the fake itself.
struct FakeCudaDriver::Functions {
  template <typename Handle>
  static int Make(const char* name, Handle* handle) {
    if (int const error = present->Call(name)) return error;
    *handle = reinterpret_cast<Handle>(present);
    ++present->held_count_;
    return 0;
  }
  static int GiveBack() {
    --present->held_count_;
    return 0;
  }

  static int GetErrorName(int error, const char** name) {
    *name = error == kBroken ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR_UNKNOWN";
    return 0;
  }
  static int DeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return present->Call("cuDeviceGet");
  }
  static int DeviceGetName(char* name, int size, int) {
    std::strncpy(name, "a fake", static_cast<size_t>(size));
    return present->Call("cuDeviceGetName");
  }
  static int DeviceGetAttribute(int* value, int, int) {
    *value = 1;
    return present->Call("cuDeviceGetAttribute");
  }
  static int ModuleGetGlobal(base::CudaAddress* address, size_t* size, base::CudaModule,
                             const char* name) {
    STOKEFS_CHECK(std::string(name) == hints::kCudaConditionsName);
    *address = reinterpret_cast<base::CudaAddress>(present->conditions_.data());
    *size = sizeof(present->conditions_);
    return present->Call("cuModuleGetGlobal");
  }
  static int ModuleGetFunction(base::CudaFunction*, base::CudaModule, const char* name) {
    STOKEFS_CHECK(std::string(name) == hints::kCudaKernelName);
    return present->Call("cuModuleGetFunction");
  }
  static int MemAlloc(base::CudaAddress* address, size_t size) {
    if (int const error = present->Call("cuMemAlloc")) return error;
    ++present->held_count_;
    *address = reinterpret_cast<base::CudaAddress>(new std::byte[size]);
    return 0;
  }
  static int MemFree(base::CudaAddress address) {
    delete[] static_cast<std::byte*>(AtAddress(address));
    return GiveBack();
  }
  static int HtoD(base::CudaAddress to, const void* from, size_t size, base::CudaStream) {
    if (int const error = present->Call("cuMemcpyHtoD")) return error;
    std::memcpy(AtAddress(to), from, size);
    return 0;
  }
  static int DtoH(void* to, base::CudaAddress from, size_t size, base::CudaStream) {
    if (int const error = present->Call("cuMemcpyDtoH")) return error;
    std::memcpy(to, AtAddress(from), size);
    return 0;
  }
  static int MemsetD32(base::CudaAddress to, unsigned value, size_t count, base::CudaStream) {
    if (int const error = present->Call("cuMemsetD32")) return error;
    for (size_t i = 0; i < count; ++i) static_cast<uint32_t*>(AtAddress(to))[i] = value;
    return 0;
  }
  static int LaunchKernel(base::CudaFunction, unsigned grid, unsigned, unsigned, unsigned, unsigned,
                          unsigned, unsigned, base::CudaStream, void** arguments, void**) {
    if (int const error = present->Call("cuLaunchKernel")) return error;
    ++present->launch_count_;
    auto const at = [&](int i) {
      return static_cast<uint32_t*>(AtAddress(*static_cast<base::CudaAddress*>(arguments[i])));
    };
    present->Launch(*static_cast<hints::CudaSeedInput*>(arguments[0]),
                    uint64_t{grid} * hints::kCudaSeedsABlock, at(1), at(2));
    return 0;
  }
};

base::CudaDriver FakeCudaDriver::Table() const {
  using F = Functions;
  base::CudaDriver table;
  table.GetErrorName = F::GetErrorName;
  table.DeviceGet = F::DeviceGet;
  table.DeviceGetName = F::DeviceGetName;
  table.DeviceGetAttribute = F::DeviceGetAttribute;
  table.DevicePrimaryCtxRetain = [](base::CudaContext* context, int) {
    return F::Make("cuDevicePrimaryCtxRetain", context);
  };
  table.DevicePrimaryCtxRelease = [](int) { return F::GiveBack(); };
  table.CtxPushCurrent = [](base::CudaContext context) {
    return F::Make("cuCtxPushCurrent", &context);
  };
  table.CtxPopCurrent = [](base::CudaContext*) { return F::GiveBack(); };
  table.ModuleLoadData = [](base::CudaModule* module, const void*) {
    return F::Make("cuModuleLoadData", module);
  };
  table.ModuleUnload = [](base::CudaModule) { return F::GiveBack(); };
  table.ModuleGetFunction = F::ModuleGetFunction;
  table.ModuleGetGlobal = F::ModuleGetGlobal;
  table.MemAlloc = F::MemAlloc;
  table.MemFree = F::MemFree;
  table.MemcpyHtoDAsync = F::HtoD;
  table.MemcpyDtoHAsync = F::DtoH;
  table.MemsetD32Async = F::MemsetD32;
  table.StreamCreate = [](base::CudaStream* stream, unsigned) {
    return F::Make("cuStreamCreate", stream);
  };
  table.StreamSynchronize = [](base::CudaStream) { return present->Call("cuStreamSynchronize"); };
  table.StreamDestroy = [](base::CudaStream) { return F::GiveBack(); };
  table.EventCreate = [](base::CudaEvent* event, unsigned) {
    return F::Make("cuEventCreate", event);
  };
  table.EventRecord = [](base::CudaEvent, base::CudaStream) {
    return present->Call("cuEventRecord");
  };
  table.EventSynchronize = [](base::CudaEvent) { return present->Call("cuEventSynchronize"); };
  table.EventDestroy = [](base::CudaEvent) { return F::GiveBack(); };
  table.LaunchKernel = F::LaunchKernel;
  return table;
}

}  // namespace stokefs::testing
