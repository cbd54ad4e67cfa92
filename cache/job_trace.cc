#include "cache/job_trace.h"

#include <algorithm>

namespace stokefs::cache {

void JobTrace::OnRead(SampleIndex sample, JobIndex job) {
  if (read_count_max_ == 0) return;
  if (samples_.size() < read_count_max_) {
    samples_.push_back(sample.value);
    jobs_.push_back(job.value);
  } else {
    samples_[position_ % read_count_max_] = sample.value;
    jobs_[position_ % read_count_max_] = job.value;
  }
  ++position_;
  while (!marks_.empty() && marks_.front().position < OldestPosition()) marks_.pop_front();
}

void JobTrace::OnEpoch(JobIndex job, size_t opening_count) {
  uint64_t at = position_;
  for (size_t found_count = 0; found_count < opening_count && at > OldestPosition();) {
    --at;
    if (jobs_[at % read_count_max_] == job.value) ++found_count;
  }
  // Marks are sorted: another job's epoch may have begun since.
  auto const after = std::upper_bound(
      marks_.begin(), marks_.end(), at,
      [](uint64_t position, const Mark& mark) { return position < mark.position; });
  marks_.insert(after, {at, job});
}

JobTrace::Reads JobTrace::Copy() const {
  Reads reads;
  uint64_t const oldest = OldestPosition();
  reads.samples.reserve(samples_.size());
  reads.jobs.reserve(samples_.size());
  for (uint64_t at = oldest; at < position_; ++at) {
    reads.samples.push_back(samples_[at % read_count_max_]);
    reads.jobs.push_back(jobs_[at % read_count_max_]);
  }
  for (Mark const& mark : marks_) reads.marks.push_back({mark.position - oldest, mark.job});
  return reads;
}

}  // namespace stokefs::cache
