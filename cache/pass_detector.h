// Where an epoch ends and the next begins, seen from one job's reads alone.
//
// A read of a sample that this pass has not read is *fresh*, else it is a *repeat*. When all of the
// scope was read, a repeat begins a new pass at once. Before that a repeat is only evidence: a
// single one may be a retry, or the padding of DistributedSampler, but after a restart in
// mid-epoch, the end of a subset, or what drop_last has left out, repeats come one after the other.
// So doubt rises by 1 with each repeat and falls by 1/16 with each fresh read, and a new pass
// begins when it reaches 8. (A sequential test: a restart is found once more than a 17th of the
// samples were used; before that it makes no difference worth having.) The reads since doubt was
// last 0 then belong to the new pass; they are its *opening*.
//
// Draws with replacement repeat all the time. Where a pass really ends nearly all of the opening
// are repeats; where four passes in a row ended with fresh reads mixed in, before their time, and
// with repeats as often as draws have them, the job has no epochs: LooksWeighted. (Where the kernel
// answers some reads by itself, as for jobs in step, each pass lacks what it hid, and fresh reads
// are mixed in; but until then hardly any read was a repeat.)
//
// Pure code; two bits a sample; O(1) a read, but for the walk over the bits at a new pass. Not
// thread-safe. Tell it each read of a sample once, not each READ of its pieces.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/dataset_shape.h"

namespace stokefs::cache {

class PassDetector {
 public:
  struct Options {
    uint32_t sample_count = 0;  // all of the dataset
    uint32_t scope_count = 0;   // those that the job may read: below its root
  };
  explicit PassDetector(Options options);

  // True: a new pass has begun; opening() are the reads that already belong to it, in their order,
  // this one the last. It is valid until the next call.
  bool OnRead(SampleIndex sample);
  std::span<const SampleIndex> opening() const { return opening_; }

  uint32_t used_count() const { return used_count_; }  // samples read in this pass
  const std::vector<bool>& used() const { return used_; }
  // What the pass before read, and maybe some of the opening.
  const std::vector<bool>& used_before() const { return used_before_; }
  // The job reads so many from now on.
  void SetScopeCount(uint32_t scope_count) { scope_count_ = scope_count; }
  uint64_t pass_count() const { return pass_count_; }  // passes that have begun; 0 before a read
  bool LooksWeighted() const { return blurred_count_ >= kBlurredCountMin; }

 private:
  static constexpr uint32_t kRepeatDoubt = 16;  // in 16ths
  static constexpr uint32_t kDoubtMax = 8 * kRepeatDoubt;
  // Doubt that grows this slowly is of a restart so early that the exact opening matters little.
  static constexpr size_t kOpeningCountMax = 256;
  static constexpr uint32_t kBlurredCountMin = 4;

  bool RepeatsLikeDraws() const;
  void BeginPass();

  uint32_t scope_count_;
  std::vector<bool> used_;            // by sample, in this pass
  std::vector<bool> used_before_;     // in the one before
  std::vector<SampleIndex> opening_;  // reads since doubt was 0
  uint32_t used_count_ = 0;
  uint32_t doubt_ = 0;         // in 16ths of a repeat
  uint32_t repeat_count_ = 0;  // in this pass
  uint32_t fresh_count_ = 0;   // of the reads since doubt was 0
  uint32_t doubted_count_ = 0;
  uint32_t blurred_count_ = 0;  // passes in a row that ended without an end
  uint64_t pass_count_ = 0;
  bool opened_ = false;  // the last read began a pass
};

}  // namespace stokefs::cache
