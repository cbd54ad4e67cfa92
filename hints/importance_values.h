// The importance of each sample that a job told one of: 24 bytes a sample, and 8 to 16 of index.
//
// Kept by sample id, because a file's new version is as important as the old one; beside it the
// node that the id stands for now. Values mean nothing but beside each other: readers get them
// relative to their average. Not thread-safe, no I/O.
//
// How they are kept (all integers little-endian):
//   file := "stokefs-importance 1 " checksum:16 hex digits "\n" entry*
//   entry := id.high:u64 id.low:u64 value:f32
// where the checksum is the XXH3-64 of the entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/ids.h"

namespace stokefs::hints {

class ImportanceValues {
 public:
  struct Entry {
    cache::SampleId id;
    cache::NodeId node;  // kNoNode: not known (any more)
    float value = 0;     // finite, at least 0
  };
  static_assert(sizeof(Entry) == 24);

  // The entry's place, which stays; none when it was the same already.
  std::optional<uint32_t> Set(const Entry& entry);
  // Takes over those that are not there yet; the nodes are to be joined.
  void AddMissing(const std::vector<Entry>& entries);
  // The place of `id`, if it has a value.
  std::optional<uint32_t> Find(cache::SampleId id) const;
  void SetNode(uint32_t place, cache::NodeId node) { entries_[place].node = node; }

  const std::vector<Entry>& Entries() const { return entries_; }
  // 0 when there are none. Goes over all: a running sum would lose what is small beside a value
  // that was large once.
  double Average() const;

  std::string Encode() const;
  // EBADMSG: damaged, or of another version.
  static base::Result<std::vector<Entry>> Decode(std::string_view bytes);

 private:
  size_t SlotOf(cache::SampleId id) const;  // the one that holds it, or the free one for it
  void Grow();

  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;  // place + 1; 0: free; a power of two, at most half full
};

}  // namespace stokefs::hints
