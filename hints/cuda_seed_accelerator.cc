#include "hints/cuda_seed_accelerator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "hints/cuda_seed_input.h"

namespace stokefs::hints {
namespace {

using base::Fail;
using base::Status;

// A multiprocessor does 32 steps a clock, so these 420 million take it about 8 ms at 1.7 GHz; a
// window of 64 outputs doubles that. However many multiprocessors there are, so it is a slice's
// time.
constexpr uint64_t kSeedsAMultiprocessor = uint64_t{1} << 20;
constexpr uint64_t kSeedsASliceMax = uint64_t{1} << 30;

// The context is current while this lives: any thread may call, and none is left with it.
class CurrentContext {
 public:
  CurrentContext(const base::CudaDriver& driver, base::CudaContext context)
      : driver_(driver),
        status_(driver.Check(driver.CtxPushCurrent(context), "cuCtxPushCurrent")) {}
  ~CurrentContext() {
    base::CudaContext context = nullptr;
    if (status_) driver_.CtxPopCurrent(&context);
  }
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

  const Status& Entered() const { return status_; }

 private:
  const base::CudaDriver& driver_;
  const Status status_;
};

CudaGroups AllOf(uint32_t group_count) {
  CudaGroups groups{};
  for (uint32_t group = 0; group < group_count; ++group)
    groups.words[group / 32] |= 1u << (group % 32);
  return groups;
}

CudaGroups AllBut(uint32_t group) {
  CudaGroups groups = AllOf(kFilterGroupsMax);
  groups.words[group / 32] &= ~(1u << (group % 32));
  return groups;
}

}  // namespace

CudaSeedAccelerator::CudaSeedAccelerator(base::CudaDriver driver, uint32_t passed_max)
    : driver_(driver), passed_max_(passed_max) {}

base::Result<std::unique_ptr<CudaSeedAccelerator>> CudaSeedAccelerator::Open(Options options) {
  STOKEFS_CHECK(options.passed_max >= kSeedKernelStep);
  if (options.image.empty()) return Fail(std::errc::no_such_device, "built without CUDA");
  if (!options.driver) {
    auto const loaded = base::CudaDriver::Load();
    if (!loaded) return tl::unexpected(loaded.error());
    options.driver = *loaded;
  }
  std::unique_ptr<CudaSeedAccelerator> opened(
      new CudaSeedAccelerator(*options.driver, options.passed_max));
  auto const started = opened->Start(options);
  if (!started) return base::Wrap(started.error(), "GPU " + std::to_string(options.device));
  return opened;
}

Status CudaSeedAccelerator::Start(const Options& options) {
  auto const& cuda = driver_;
  std::array<char, 256> name{};
  int multiprocessors = 0;
  auto status = cuda.Check(cuda.DeviceGet(&device_, options.device), "cuDeviceGet");
  if (status)
    status = cuda.Check(cuda.DeviceGetName(name.data(), name.size(), device_), "cuDeviceGetName");
  if (status)
    status = cuda.Check(
        cuda.DeviceGetAttribute(&multiprocessors, base::kCudaMultiprocessorCount, device_),
        "cuDeviceGetAttribute");
  if (status)
    status =
        cuda.Check(cuda.DevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
  if (!status) return status;
  device_name_.assign(name.data(), std::find(name.begin(), name.end() - 1, '\0'));
  seeds_a_slice_ = std::clamp<uint64_t>(
      static_cast<uint64_t>(std::max(multiprocessors, 1)) * kSeedsAMultiprocessor, kSeedKernelStep,
      kSeedsASliceMax);
  CurrentContext const current(cuda, context_);
  if (!current.Entered()) return current.Entered();
  return LoadKernel(options.image);
}

Status CudaSeedAccelerator::LoadKernel(std::span<const std::byte> image) {
  auto const& cuda = driver_;
  size_t conditions_size = 0;
  auto status = cuda.Check(cuda.ModuleLoadData(&module_, image.data()), "cuModuleLoadData");
  if (status)
    status = cuda.Check(cuda.ModuleGetFunction(&kernel_, module_, kCudaKernelName),
                        "cuModuleGetFunction");
  if (status)
    status = cuda.Check(
        cuda.ModuleGetGlobal(&conditions_, &conditions_size, module_, kCudaConditionsName),
        "cuModuleGetGlobal");
  if (status)
    status =
        cuda.Check(cuda.StreamCreate(&stream_, base::kCudaStreamNonBlocking), "cuStreamCreate");
  if (status)
    status =
        cuda.Check(cuda.EventCreate(&scanned_, base::kCudaEventSleepNoTiming), "cuEventCreate");
  if (status)
    status = cuda.Check(cuda.MemAlloc(&passed_count_, (size_t{passed_max_} + 1) * sizeof(uint32_t)),
                        "cuMemAlloc");
  if (!status) return status;
  passed_ = passed_count_ + sizeof(uint32_t);
  STOKEFS_CHECK(conditions_size == kFilterConditionsMax * sizeof(CudaSeedCondition));
  return {};
}

// Errors are not looked at: after one, all that follows fails, and there is nobody to tell.
CudaSeedAccelerator::~CudaSeedAccelerator() {
  if (context_ == nullptr) return;
  {
    CurrentContext const current(driver_, context_);
    if (passed_count_ != 0) driver_.MemFree(passed_count_);
    if (scanned_ != nullptr) driver_.EventDestroy(scanned_);
    if (stream_ != nullptr) driver_.StreamDestroy(stream_);
    if (module_ != nullptr) driver_.ModuleUnload(module_);
  }
  driver_.DevicePrimaryCtxRelease(device_);
}

Status CudaSeedAccelerator::Scan(const SeedFilter& filter, SeedRange range,
                                 std::vector<uint32_t>& passed) {
  if (broken_) return tl::unexpected(*broken_);
  size_t const passed_before = passed.size();
  auto scanned = ScanInSlices(filter, range, passed);
  if (scanned) return scanned;
  passed.resize(passed_before);
  broken_ = base::Wrap(scanned.error(), device_name_).value();
  return tl::unexpected(*broken_);
}

Status CudaSeedAccelerator::ScanInSlices(const SeedFilter& filter, SeedRange range,
                                         std::vector<uint32_t>& passed) {
  CurrentContext const current(driver_, context_);
  if (!current.Entered()) return current.Entered();
  if (auto sent = SendConditions(filter); !sent) return sent;
  uint64_t slice = seeds_a_slice_;
  for (uint64_t next = range.begin; next < range.end;) {
    auto const seed_count = static_cast<uint32_t>(std::min(slice, range.end - next));
    auto const passed_count = Launch(filter, next, seed_count);
    if (!passed_count) return tl::unexpected(passed_count.error());
    if (*passed_count > seed_count)
      return Fail(std::errc::io_error, "more seeds passed than were tested");
    if (*passed_count > passed_max_) {  // so seed_count is two kernel steps or more
      slice = uint64_t{seed_count / 2 / kSeedKernelStep} * kSeedKernelStep;
      continue;
    }
    passed.resize(passed.size() + *passed_count);
    auto const found = std::span(passed).last(*passed_count);
    if (auto fetched = Fetch(found); !fetched) return fetched;
    std::ranges::sort(found);
    next += seed_count;
  }
  return {};
}

Status CudaSeedAccelerator::SendConditions(const SeedFilter& filter) {
  std::vector<CudaSeedCondition> conditions;
  conditions.reserve(filter.Conditions().size());
  for (auto const& condition : filter.Conditions()) {
    auto const group = static_cast<uint32_t>(conditions.size()) / filter.GroupSize();
    conditions.push_back({.window_index = condition.window_index,
                          .remainder = condition.remainder,
                          .inverse = condition.inverse,
                          .rotation = condition.rotation,
                          .limit = condition.limit,
                          .others = AllBut(group)});
  }
  std::ranges::sort(conditions, {}, &CudaSeedCondition::window_index);
  auto const bytes = std::as_bytes(std::span(conditions));
  auto sent = driver_.Check(
      driver_.MemcpyHtoDAsync(conditions_, bytes.data(), bytes.size(), stream_), "cuMemcpyHtoD");
  if (!sent) return sent;
  return driver_.Check(driver_.StreamSynchronize(stream_), "cuStreamSynchronize");
}

base::Result<uint32_t> CudaSeedAccelerator::Launch(const SeedFilter& filter, uint64_t first_seed,
                                                   uint32_t seed_count) {
  auto const& cuda = driver_;
  auto const condition_count = static_cast<uint32_t>(filter.Conditions().size());
  CudaSeedInput input{
      .groups = AllOf(condition_count / filter.GroupSize()),
      .condition_count = condition_count,
      .first_output = filter.FirstOutput(),
      .window_count = filter.WindowCount(),
      .first_seed = static_cast<uint32_t>(first_seed),
      .passed_max = passed_max_,
  };
  base::CudaAddress passed_count_address = passed_count_, passed_address = passed_;
  std::array<void*, 3> arguments = {&input, &passed_count_address, &passed_address};
  auto status = cuda.Check(cuda.MemsetD32Async(passed_count_, 0, 1, stream_), "cuMemsetD32");
  if (status)
    status = cuda.Check(
        cuda.LaunchKernel(kernel_, seed_count / kCudaSeedsABlock, 1, 1, kCudaThreadsABlock, 1, 1, 0,
                          stream_, arguments.data(), nullptr),
        "cuLaunchKernel");
  if (status) status = cuda.Check(cuda.EventRecord(scanned_, stream_), "cuEventRecord");
  if (status) status = cuda.Check(cuda.EventSynchronize(scanned_), "cuEventSynchronize");
  if (!status) return tl::unexpected(status.error());
  uint32_t passed_count = 0;
  status =
      cuda.Check(cuda.MemcpyDtoHAsync(&passed_count, passed_count_, sizeof(passed_count), stream_),
                 "cuMemcpyDtoH");
  if (status) status = cuda.Check(cuda.StreamSynchronize(stream_), "cuStreamSynchronize");
  if (!status) return tl::unexpected(status.error());
  return passed_count;
}

Status CudaSeedAccelerator::Fetch(std::span<uint32_t> passed) {
  if (passed.empty()) return {};
  auto copied =
      driver_.Check(driver_.MemcpyDtoHAsync(passed.data(), passed_, passed.size_bytes(), stream_),
                    "cuMemcpyDtoH");
  if (!copied) return copied;
  return driver_.Check(driver_.StreamSynchronize(stream_), "cuStreamSynchronize");
}

}  // namespace stokefs::hints
