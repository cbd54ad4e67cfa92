#include "base/cuda_driver.h"

#include <dlfcn.h>

#include <string>

namespace stokefs::base {
namespace {

constexpr int kOutOfMemory = 2;  // CUDA_ERROR_OUT_OF_MEMORY
constexpr int kNoDevice = 100;   // CUDA_ERROR_NO_DEVICE

std::errc CodeOf(int result) {
  if (result == kOutOfMemory) return std::errc::not_enough_memory;
  if (result == kNoDevice) return std::errc::no_such_device;
  return std::errc::io_error;
}

}  // namespace

Status CudaDriver::Check(int result, std::string_view call) const {
  if (result == 0) return {};
  const char* name = nullptr;
  if (GetErrorName(result, &name) != 0 || name == nullptr) name = "unknown error";
  return Fail(CodeOf(result),
              std::string(call) + ": " + name + " (" + std::to_string(result) + ")");
}

Result<CudaDriver> CudaDriver::Load() {
  // Never closed: the driver starts threads of its own.
  void* const library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return Fail(std::errc::no_such_device, std::string("no CUDA driver: ") + dlerror());
  CudaDriver driver;
  const char* missing = nullptr;
  auto const find = [&](auto& function, const char* name) {
    void* const symbol = dlsym(library, name);
    if (symbol == nullptr) missing = name;
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
  };
  // A _v2 is what cuda.h has meant by the plain name since CUDA 11 or before.
  find(driver.Init, "cuInit");
  find(driver.GetErrorName, "cuGetErrorName");
  find(driver.DeviceGet, "cuDeviceGet");
  find(driver.DeviceGetName, "cuDeviceGetName");
  find(driver.DeviceGetAttribute, "cuDeviceGetAttribute");
  find(driver.DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  find(driver.DevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
  find(driver.CtxPushCurrent, "cuCtxPushCurrent_v2");
  find(driver.CtxPopCurrent, "cuCtxPopCurrent_v2");
  find(driver.ModuleLoadData, "cuModuleLoadData");
  find(driver.ModuleUnload, "cuModuleUnload");
  find(driver.ModuleGetFunction, "cuModuleGetFunction");
  find(driver.ModuleGetGlobal, "cuModuleGetGlobal_v2");
  find(driver.MemAlloc, "cuMemAlloc_v2");
  find(driver.MemFree, "cuMemFree_v2");
  find(driver.MemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  find(driver.MemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  find(driver.MemsetD32Async, "cuMemsetD32Async");
  find(driver.StreamCreate, "cuStreamCreate");
  find(driver.StreamSynchronize, "cuStreamSynchronize");
  find(driver.StreamDestroy, "cuStreamDestroy_v2");
  find(driver.EventCreate, "cuEventCreate");
  find(driver.EventRecord, "cuEventRecord");
  find(driver.EventSynchronize, "cuEventSynchronize");
  find(driver.EventDestroy, "cuEventDestroy_v2");
  find(driver.LaunchKernel, "cuLaunchKernel");
  if (missing != nullptr)
    return Fail(std::errc::no_such_device, std::string("the CUDA driver has no ") + missing);
  if (auto const started = driver.Check(driver.Init(0), "cuInit"); !started)
    return Fail(std::errc::no_such_device, started.error().message);
  return driver;
}

}  // namespace stokefs::base
