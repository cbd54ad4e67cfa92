// Searches seeds on an NVIDIA GPU, by way of the driver alone (base/cuda_driver.h).
//
// A scan is a row of kernel launches of at most a slice, because a GPU that others use too is held
// up by each. What passes is written where an atomic counter says and sorted here; a launch of
// which more passes than there is room for is repeated in halves. The caller sleeps meanwhile.
// Holds 4 MB of the GPU's memory beside what the driver takes for a context (the device's primary
// one, shared with whatever else in the process uses it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/cuda_driver.h"
#include "base/result.h"
#include "hints/cuda_seed_image.h"
#include "hints/seed_accelerator.h"

namespace stokefs::hints {

class CudaSeedAccelerator final : public SeedAccelerator {
 public:
  struct Options {
    int device = 0;
    // 30 times what a filter lets through that was made for the search (one in 4,096).
    uint32_t passed_max = uint32_t{1} << 20;
    std::optional<base::CudaDriver> driver;  // none: the machine's
    std::span<const std::byte> image = CudaSeedImage();
  };
  // Errors: no_such_device (built without CUDA, no driver, no GPU), not_enough_memory, io_error.
  static base::Result<std::unique_ptr<CudaSeedAccelerator>> Open(Options options);
  ~CudaSeedAccelerator() override;
  CudaSeedAccelerator(const CudaSeedAccelerator&) = delete;
  CudaSeedAccelerator& operator=(const CudaSeedAccelerator&) = delete;

  const std::string& DeviceName() const { return device_name_; }

  uint64_t SeedsASlice() const override { return seeds_a_slice_; }
  // Errors: not_enough_memory, io_error; the same again from then on.
  base::Status Scan(const SeedFilter& filter, SeedRange range,
                    std::vector<uint32_t>& passed) override;

 private:
  CudaSeedAccelerator(base::CudaDriver driver, uint32_t passed_max);

  base::Status Start(const Options& options);
  base::Status LoadKernel(std::span<const std::byte> image);
  base::Status ScanInSlices(const SeedFilter& filter, SeedRange range,
                            std::vector<uint32_t>& passed);
  base::Status SendConditions(const SeedFilter& filter);
  // Returns how many pass, of which the first passed_max are in the device's memory.
  base::Result<uint32_t> Launch(const SeedFilter& filter, uint64_t first_seed, uint32_t seed_count);
  base::Status Fetch(std::span<uint32_t> passed);

  const base::CudaDriver driver_;
  const uint32_t passed_max_;
  std::string device_name_;
  uint64_t seeds_a_slice_ = 0;
  int device_ = 0;
  base::CudaContext context_ = nullptr;
  base::CudaModule module_ = nullptr;
  base::CudaFunction kernel_ = nullptr;
  base::CudaAddress conditions_ = 0;
  base::CudaStream stream_ = nullptr;
  base::CudaEvent scanned_ = nullptr;
  base::CudaAddress passed_count_ = 0;  // one word, and behind it
  base::CudaAddress passed_ = 0;        // passed_max_ more
  std::optional<base::Error> broken_;
};

}  // namespace stokefs::hints
