// Finds streams: large files that one reader reads on and on, and says which extents come next.
//
// A stream is known by where it has come to: a read that starts there, give or take what the
// kernel's own read-ahead puts out of order, goes on with it; any other is another stream. One that
// has come `start_bytes` far gets a window of `window_bytes_min`, which doubles with each extent
// that it enters. Several readers, and several places in one file, are streams of their own.
//
// Pure: events in, wishes out. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <vector>

#include "cache/block_layout.h"
#include "cache/ids.h"
#include "cache/read_event.h"

namespace stokefs::cache {

class FileStreams {
 public:
  struct Options {
    uint64_t extent_bytes = 1u << 20;
    uint64_t start_bytes = 512u << 10;  // that random reads hardly ever get to
    uint64_t slack_bytes = 256u << 10;  // two windows of the kernel's
    uint64_t window_bytes_min = 2u << 20;
    uint64_t window_bytes_max = 16u << 20;
    uint64_t all_bytes_max = 16u << 20;  // shared by the streams that are being read
    size_t stream_count_max = 64;        // the one that was read the longest ago is forgotten
    size_t per_reader_and_file_max = 4;  // so that one random reader drives out no other's stream
    base::Duration idle_after = std::chrono::seconds(1);  // then it has no share of all_bytes_max
  };
  // `layout` outlives this.
  FileStreams(Options options, const BlockLayout& layout);

  // Returns the extents to fetch now, in order; some may be there already.
  std::vector<BlockKey> OnRead(const ReadEvent& event);

 private:
  struct Stream {
    NodeId node;
    ReaderId reader;
    uint64_t end = 0;        // of what was read
    uint64_t run_bytes = 0;  // read on the way to there
    uint64_t ahead_end = 0;  // extents before it were read or wished for
    uint64_t window_bytes = 0;
    base::TimePoint last{};
  };

  Stream* Find(const ReadEvent& event);
  void Add(const ReadEvent& event);
  std::vector<BlockKey> LookAhead(Stream& stream);

  const Options options_;
  const BlockLayout& layout_;
  std::list<Stream> streams_;  // the one read last in front
};

}  // namespace stokefs::cache
