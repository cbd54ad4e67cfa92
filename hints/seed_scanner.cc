#include "hints/seed_scanner.h"

#include <algorithm>

namespace stokefs::hints {
namespace {

constexpr uint32_t kSeedsACall = 16 * kSeedKernelStep;     // 64 KiB of room for what passes
constexpr uint64_t kSeedsASliceOfCpu = uint64_t{1} << 18;  // 5 ms with AVX2, 20 with SSE2

}  // namespace

SeedScanner::SeedScanner(const SeedKernel& kernel, SeedAccelerator* accelerator)
    : kernel_(kernel), accelerator_(accelerator), found_(kSeedsACall) {}

uint64_t SeedScanner::SeedsASlice() const {
  return accelerator_ != nullptr ? accelerator_->SeedsASlice() : kSeedsASliceOfCpu;
}

void SeedScanner::Scan(const SeedFilter& filter, SeedRange range, std::vector<uint32_t>& passed) {
  if (accelerator_ != nullptr) {
    auto const scanned = accelerator_->Scan(filter, range, passed);
    if (scanned) return;
    why_on_cpu_ = scanned.error().message;
    accelerator_ = nullptr;
  }
  ScanOnCpu(filter, range, passed);
}

void SeedScanner::ScanOnCpu(const SeedFilter& filter, SeedRange range,
                            std::vector<uint32_t>& passed) {
  for (uint64_t next = range.begin; next < range.end; next += kSeedsACall) {
    SeedKernelInput const input{
        .conditions = filter.Conditions().data(),
        .condition_count = static_cast<uint32_t>(filter.Conditions().size()),
        .group_size = filter.GroupSize(),
        .first_output = filter.FirstOutput(),
        .window_count = filter.WindowCount(),
        .first_seed = static_cast<uint32_t>(next),
        .seed_count = static_cast<uint32_t>(std::min<uint64_t>(range.end - next, kSeedsACall)),
    };
    size_t const found_count = kernel_.scan(input, found_.data());
    passed.insert(passed.end(), found_.begin(),
                  found_.begin() + static_cast<std::ptrdiff_t>(found_count));
  }
}

}  // namespace stokefs::hints
