// An accelerator that is the CPU, and that breaks after so many scans.
#pragma once

#include <cstdint>
#include <vector>

#include "hints/seed_accelerator.h"
#include "hints/seed_scanner.h"

namespace stokefs::testing {

class FakeSeedAccelerator final : public hints::SeedAccelerator {
 public:
  explicit FakeSeedAccelerator(uint64_t scans_max) : scans_max_(scans_max) {}

  uint64_t SeedsASlice() const override { return uint64_t{1} << 16; }

  base::Status Scan(const hints::SeedFilter& filter, hints::SeedRange range,
                    std::vector<uint32_t>& passed) override {
    if (++scan_count_ > scans_max_) return base::Fail(std::errc::io_error, "the device fell off");
    scanner_.Scan(filter, range, passed);
    return {};
  }

  uint64_t ScanCount() const { return scan_count_; }

 private:
  const uint64_t scans_max_;
  uint64_t scan_count_ = 0;
  hints::SeedScanner scanner_{hints::SeedKernels().back()};
};

}  // namespace stokefs::testing
