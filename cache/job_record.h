// What one job did, epoch by epoch, for those who want to know.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "base/clock.h"
#include "cache/ids.h"

namespace stokefs::cache {

// The first READ of a sample.
struct JobRead {
  Tier tier = Tier::kMemory;  // the slowest that it waited for; up to kMemory: a hit
  base::Duration waited{};
  base::Duration thought{};  // between the reader's last answer and this READ
  base::TimePoint when;      // when it was answered
};

struct TierReads {
  uint64_t read_count = 0;
  base::Duration waited{};
};

struct EpochRecord {
  uint64_t index = 0;
  uint64_t scope_count = 0;  // samples that it may read
  uint64_t used_count = 0;   // distinct samples read; of weighted sampling, all reads
  std::array<TierReads, kTierCount> by_tier{};
  base::Duration thought{};      // of all readers together
  base::TimePoint began, ended;  // the first read was asked for, the last one answered

  uint64_t ReadCount() const;
  uint64_t HitCount() const;
};

class JobRecord {
 public:
  JobRecord(std::string name, std::string root) : name_(std::move(name)), root_(std::move(root)) {}

  void OnRead(const JobRead& read);
  // The last `opening_count` reads already belong to the new epoch, and `scope_count` is its size.
  void OnEpoch(uint64_t scope_count, size_t opening_count);
  void SetUsed(uint64_t used_count) { epochs_.back().used_count = used_count; }

  const std::string& name() const { return name_; }
  const std::string& root() const { return root_; }
  const std::deque<EpochRecord>& epochs() const { return epochs_; }

 private:
  static constexpr size_t kEpochCountMax = 16;
  static void Add(EpochRecord& epoch, const JobRead& read, int sign);

  std::string name_, root_;
  std::deque<EpochRecord> epochs_;
  std::array<JobRead, 256> recent_{};  // the last reads
  uint64_t read_count_ = 0;
};

}  // namespace stokefs::cache
