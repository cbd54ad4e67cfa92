// The memory tier's replacement policy that an EpochPolicy steers.
//
// Slots become samples through a SampleMap. While some job is active, slots of no sample (old
// versions of a file, files that the map does not know yet) go first, then what EpochPolicy names.
// While none is, and before there is a map, the least recently read goes first.
//
// Everything here is called under the memory tier's lock: the tier does so, all others through
// MemoryTier::Steer. 24 to 32 bytes a slot, 4 a sample beside the map's and the policy's own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/segmented_array.h"
#include "cache/epoch_policy.h"
#include "cache/lru_policy.h"
#include "cache/replacement_policy.h"
#include "cache/sample_map.h"

namespace stokefs::cache {

// What one version of the catalog is steered with. Made and destroyed outside the lock: it is
// large.
struct EpochSteering {
  struct Options {
    uint64_t capacity_bytes = 0;  // as EpochPolicy's
    uint64_t spared_bytes = 0;    // of spent samples that only readers' misses may displace
  };
  EpochSteering(std::shared_ptr<const SampleMap> samples, Options options)
      : map(std::move(samples)),
        policy(map->shape(), {.capacity_bytes = options.capacity_bytes}),
        spared_bytes(options.spared_bytes),
        slot_of_sample(map->shape().sample_count()) {}

  const std::shared_ptr<const SampleMap> map;
  EpochPolicy policy;
  const uint64_t spared_bytes;
  std::vector<SlotIndex> slot_of_sample;  // of those that are cached
  // Threads that are known to read for jobs, a bit a job: what they read is spent at once, and not
  // only when the event of the read was looked at, before which readers' misses may displace more.
  std::unordered_map<uint32_t, uint8_t> jobs_of_thread;
};

class EpochReplacement final : public ReplacementPolicy {
 public:
  void OnInsert(SlotIndex slot, BlockKey key, uint64_t size_bytes) override;
  void OnRead(SlotIndex slot, ReaderId reader) override;
  void OnRemove(SlotIndex slot) override;
  std::optional<SlotIndex> ChooseVictim(const SlotFilter& filter) override;
  bool KnowsSpent() const override { return steering_ && steering_->policy.HasJobs(); }
  std::optional<SlotIndex> ChooseSpent(const SlotFilter& filter, bool reader_waits) override;

  // Tells `steering` what memory holds and goes by it from now on; returns the one before. Null: by
  // recency alone. O(slots).
  std::unique_ptr<EpochSteering> Install(std::unique_ptr<EpochSteering> steering);
  EpochSteering* steering() { return steering_.get(); }  // null: none

 private:
  static constexpr uint32_t kNoSample = ~uint32_t{0};  // a slot that is none of the map's
  static constexpr uint32_t kNoBlock = kNoSample - 1;  // a slot that is empty

  struct Entry {
    BlockKey key;
    uint32_t sample = kNoBlock;
  };

  void Enter(SlotIndex slot);

  base::SegmentedArray<Entry> entries_;  // by slot
  LruPolicy recency_;                    // all slots
  LruPolicy strangers_;                  // those of no sample
  std::unique_ptr<EpochSteering> steering_;
};

}  // namespace stokefs::cache
