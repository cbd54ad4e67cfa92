// What one job did, epoch by epoch, for those who want to know.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace stokefs::cache {

struct EpochRecord {
  uint64_t index = 0;
  uint64_t scope_count = 0;  // samples that it may read
  uint64_t used_count = 0;   // distinct samples read; of weighted sampling, all reads
  uint64_t read_count = 0;   // first READs of samples
  uint64_t hit_count = 0;    // of those, answered without waiting for disk, peer or origin
};

class JobRecord {
 public:
  JobRecord(std::string name, std::string root) : name_(std::move(name)), root_(std::move(root)) {}

  void OnRead(bool hit) {
    recent_hits_[read_count_++ % recent_hits_.size()] = hit;
    Add(epochs_.back(), hit, 1);
  }
  // The last `opening_count` reads already belong to the new epoch, and `scope_count` is its size.
  void OnEpoch(uint64_t scope_count, size_t opening_count);
  void SetUsed(uint64_t used_count) { epochs_.back().used_count = used_count; }

  const std::string& name() const { return name_; }
  const std::string& root() const { return root_; }
  const std::deque<EpochRecord>& epochs() const { return epochs_; }

 private:
  static constexpr size_t kEpochCountMax = 16;
  static void Add(EpochRecord& epoch, bool hit, int sign) {
    auto const one = static_cast<uint64_t>(static_cast<int64_t>(sign));
    epoch.read_count += one;
    epoch.hit_count += hit ? one : 0;
  }

  std::string name_, root_;
  std::deque<EpochRecord> epochs_;
  std::array<bool, 256> recent_hits_{};  // of the last reads
  uint64_t read_count_ = 0;
};

}  // namespace stokefs::cache
