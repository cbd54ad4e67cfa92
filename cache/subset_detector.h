// Whether a job reads a part of its folder only, the same in each epoch (random_split, a filtered
// list): what it never reads would be wanted for ever, and soon fill memory.
//
// When a pass read a share u of what the job may read, 0.9 or less, the next pass tells: of a
// subset each read is one of those again, but for a few that the kernel had answered by itself; of
// passes that were merely left early it is only with chance u. A sequential test (Wald) of 3%
// strangers against 1 - u narrows the job to what the pass before read, once the odds are 10,000 to
// 1 and 64 reads were seen. Strangers that come later are taken in; when they are more than a few
// and more than a 20th, all is the job's again. Pure; two bits a sample; O(1) a read. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/dataset_shape.h"

namespace stokefs::cache {

class SubsetDetector {
 public:
  // `scope`: what the job may read, by sample; a copy is kept.
  explicit SubsetDetector(std::vector<bool> scope);

  // A pass has ended that read `used`. True: allowed() has changed.
  bool OnPass(const std::vector<bool>& used);
  // A read of the present pass. True: allowed() has changed.
  bool OnRead(SampleIndex sample);

  // What the job reads, as far as is known.
  const std::vector<bool>& allowed() const { return is_narrow_ ? subset_ : scope_; }
  uint32_t allowed_count() const { return is_narrow_ ? subset_count_ : scope_count_; }

 private:
  void Include(SampleIndex sample);

  std::vector<bool> scope_;
  uint32_t scope_count_ = 0;
  std::vector<bool> before_;  // what the pass before read
  uint32_t before_count_ = 0;
  std::vector<bool> subset_;
  uint32_t subset_count_ = 0;
  bool is_narrow_ = false;
  bool has_grown_ = false;  // the subset, since it was last told
  // Of the present pass.
  double evidence_ = 0;  // log of the odds that the pass before read all that there is to read
  double evidence_of_known_ = 0, evidence_of_stranger_ = 0;  // what a read adds; 0: nothing to see
  uint32_t read_count_ = 0, stranger_count_ = 0;
};

}  // namespace stokefs::cache
