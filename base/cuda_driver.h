// The functions of CUDA's driver (libcuda.so.1) that we call, found at run time.
//
// Neither CUDA's headers nor its libraries are needed to build or start: the prototypes are our own
// (as in cuda.h of CUDA 11.2 and later, whose binary interface is stable), and a machine without
// the driver gets an error from Load. A table and not an interface: a test fills in its own
// functions and fails any of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace stokefs::base {

using CudaAddress = unsigned long long;  // in device memory
using CudaContext = struct CUctx_st*;
using CudaModule = struct CUmod_st*;
using CudaFunction = struct CUfunc_st*;
using CudaStream = struct CUstream_st*;
using CudaEvent = struct CUevent_st*;

inline constexpr int kCudaMultiprocessorCount = 16;     // CU_DEVICE_ATTRIBUTE_...
inline constexpr unsigned kCudaStreamNonBlocking = 1;   // CU_STREAM_...
inline constexpr unsigned kCudaEventSleepNoTiming = 3;  // CU_EVENT_...

// Every function gives 0 or an error's number. Thread-safe, as the driver is.
struct CudaDriver {
  // Loads and initialises the driver, for good. Not before a fork whose child uses it. Errors:
  // no_such_device, with what the loader or the driver said.
  static Result<CudaDriver> Load();

  // Fails, naming `call` and what the driver calls the error, unless `result` is 0.
  Status Check(int result, std::string_view call) const;

  int (*Init)(unsigned flags) = nullptr;
  int (*GetErrorName)(int error, const char** name) = nullptr;
  int (*DeviceGet)(int* device, int ordinal) = nullptr;
  int (*DeviceGetName)(char* name, int size, int device) = nullptr;
  int (*DeviceGetAttribute)(int* value, int attribute, int device) = nullptr;
  int (*DevicePrimaryCtxRetain)(CudaContext* context, int device) = nullptr;
  int (*DevicePrimaryCtxRelease)(int device) = nullptr;
  int (*CtxPushCurrent)(CudaContext context) = nullptr;
  int (*CtxPopCurrent)(CudaContext* context) = nullptr;
  int (*ModuleLoadData)(CudaModule* module, const void* image) = nullptr;
  int (*ModuleUnload)(CudaModule module) = nullptr;
  int (*ModuleGetFunction)(CudaFunction* function, CudaModule module, const char* name) = nullptr;
  int (*ModuleGetGlobal)(CudaAddress* address, size_t* size, CudaModule module,
                         const char* name) = nullptr;
  int (*MemAlloc)(CudaAddress* address, size_t size) = nullptr;
  int (*MemFree)(CudaAddress address) = nullptr;
  int (*MemcpyHtoDAsync)(CudaAddress to, const void* from, size_t size, CudaStream) = nullptr;
  int (*MemcpyDtoHAsync)(void* to, CudaAddress from, size_t size, CudaStream) = nullptr;
  int (*MemsetD32Async)(CudaAddress to, unsigned value, size_t count, CudaStream) = nullptr;
  int (*StreamCreate)(CudaStream* stream, unsigned flags) = nullptr;
  int (*StreamSynchronize)(CudaStream stream) = nullptr;
  int (*StreamDestroy)(CudaStream stream) = nullptr;
  int (*EventCreate)(CudaEvent* event, unsigned flags) = nullptr;
  int (*EventRecord)(CudaEvent event, CudaStream stream) = nullptr;
  int (*EventSynchronize)(CudaEvent event) = nullptr;
  int (*EventDestroy)(CudaEvent event) = nullptr;
  int (*LaunchKernel)(CudaFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_size,
                      CudaStream stream, void** arguments, void** extra) = nullptr;
};

}  // namespace stokefs::base
