// What jobs read lately, read by read: for whoever replays it with other sizes of memory, or other
// policies.
//
// The last `read_count_max` first READs of samples, 5 bytes each, allocated as they come. Pure, not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "cache/sample_policy.h"

namespace stokefs::cache {

class JobTrace {
 public:
  struct Mark {  // where an epoch of a job begins
    uint64_t position = 0;
    JobIndex job;
  };
  struct Reads {  // the oldest first; positions count from there
    std::vector<uint32_t> samples;
    std::vector<uint8_t> jobs;  // the same length
    std::vector<Mark> marks;
  };

  explicit JobTrace(size_t read_count_max) : read_count_max_(read_count_max) {}

  void OnRead(SampleIndex sample, JobIndex job);
  // The job's last `opening_count` reads already belong to the new epoch.
  void OnEpoch(JobIndex job, size_t opening_count);
  Reads Copy() const;

 private:
  uint64_t OldestPosition() const { return position_ - samples_.size(); }

  size_t read_count_max_;
  std::vector<uint32_t> samples_;  // rings, once they are full
  std::vector<uint8_t> jobs_;
  std::deque<Mark> marks_;
  uint64_t position_ = 0;  // of the next read, counted from the first one ever
};

}  // namespace stokefs::cache
