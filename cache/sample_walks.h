// Finds walks: files that are read one after the other in the order of the dataset, by whom ever,
// and says which files come next.
//
// A *run* is a stretch of that order which was read; it knows what follows it. A first read that
// follows one extends it; any other starts one, and two that meet become one. Readers that take
// batches in turn (a DataLoader's workers) so make several runs, which grow together.
// With more than `successors_min` successors a run is a walk: what follows it is wished for, as
// many files as it has behind it, within limits. So no more is fetched in vain than was read in
// order before, and who stops wishes for nothing more.
// A random reader causes nothing: a run that is no walk yet ends unless it is extended within two
// reads of each reader there is, and by chance that hardly happens four times in a row.
//
// Pure: events in, wishes out. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <unordered_map>
#include <vector>

#include "cache/ids.h"
#include "cache/sample_order.h"

namespace stokefs::cache {

struct FirstRead {  // of a file's first byte
  NodeId node;
  ReaderId reader;
  bool from_memory = false;
};

class SampleWalks {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;      // of a larger file only the first extent is wished for
    uint64_t window_bytes_max = 8u << 20;  // wished for and not read, of each walk
    size_t successors_min = 4;
    size_t window_min = 8;  // files
    size_t window_max = 256;
    size_t run_count_max = 64;  // the one that was extended the longest ago is forgotten
  };
  // `order` outlives this.
  SampleWalks(Options options, const SampleOrder& order);

  // Returns the blocks to fetch now, in the order of the walk; some may be there already. What came
  // from memory extends runs but starts none: who reads only that needs no help, and comes too
  // often to ask the catalog each time.
  std::vector<BlockKey> OnFirstRead(const FirstRead& read);

 private:
  struct Ahead {  // a file that follows
    OrderedSample sample;
    bool read = false;
    bool wished = false;
  };
  struct Run {
    NodeId first;
    NodeId tail;  // the last one that was read or is ahead
    size_t length = 0;
    uint64_t extended_at = 0;  // read_count_
    std::deque<Ahead> ahead;   // without gaps; of a run that is no walk only the next one
    size_t unread_count = 0;   // of those
    uint64_t unread_bytes = 0;
    bool has_unwished = false;
  };
  using Place = std::list<Run>::iterator;

  void CountReader(ReaderId reader);
  bool IsWalk(const Run& run) const { return run.length > options_.successors_min; }
  size_t WindowOf(const Run& run) const;
  bool IsFresh(const Run& run) const;
  Place FindFollowed(NodeId node);
  void Extend(Run& run, NodeId node);
  void LookAhead(Place run, size_t count);
  void Append(Place run, const OrderedSample& sample);
  void Join(Place run, Place other, NodeId from);
  void PopAhead(Run& run);
  std::vector<BlockKey> Wish(Place run);
  uint64_t WishedBytes(const OrderedSample& sample) const;
  void Forget(Place run);

  const Options options_;
  const SampleOrder& order_;
  std::list<Run> runs_;                           // the one extended last in front
  std::unordered_map<uint32_t, Place> by_first_;  // node → run
  std::unordered_map<uint32_t, Place> by_ahead_;  // each node that is ahead → its run
  uint64_t read_count_ = 0;
  std::deque<uint32_t> recent_readers_;  // of the last kRecentCount reads
  std::unordered_map<uint32_t, size_t> reader_counts_;
};

}  // namespace stokefs::cache
