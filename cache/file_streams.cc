#include "cache/file_streams.h"

#include <algorithm>
#include <iterator>

namespace stokefs::cache {

FileStreams::FileStreams(Options options, const BlockLayout& layout)
    : options_(options), layout_(layout) {}

std::vector<BlockKey> FileStreams::OnRead(const ReadEvent& event) {
  Stream* const stream = Find(event);
  if (stream == nullptr) {
    bool const is_small = event.offset == 0 && event.whole_end;
    if (!is_small) Add(event);
    return {};
  }
  stream->last = event.when;
  uint64_t const end = event.offset + event.size_bytes;
  if (end <= stream->end) return {};
  uint64_t const extent = options_.extent_bytes;
  bool const entered = (end - 1) / extent > (stream->end - 1) / extent;
  stream->run_bytes += std::min<uint64_t>(end - stream->end, event.size_bytes);
  stream->end = end;
  if (stream->run_bytes < options_.start_bytes) return {};
  if (!entered && stream->window_bytes > 0) return {};
  return LookAhead(*stream);
}

// The reader's stream that `event` goes on with; moved to the front.
FileStreams::Stream* FileStreams::Find(const ReadEvent& event) {
  auto const found = std::find_if(streams_.begin(), streams_.end(), [&](Stream const& stream) {
    return stream.node == event.node && stream.reader == event.reader &&
           event.offset <= stream.end + options_.slack_bytes &&
           event.offset + options_.slack_bytes >= stream.end;
  });
  if (found == streams_.end()) return nullptr;
  streams_.splice(streams_.begin(), streams_, found);
  return &streams_.front();
}

void FileStreams::Add(const ReadEvent& event) {
  streams_.push_front({.node = event.node,
                       .reader = event.reader,
                       .end = event.offset + event.size_bytes,
                       .run_bytes = event.size_bytes,
                       .last = event.when});
  size_t same_count = 0;
  auto oldest_same = streams_.end();
  for (auto at = streams_.begin(); at != streams_.end(); ++at) {
    if (at->node != event.node || at->reader != event.reader) continue;
    ++same_count;
    oldest_same = at;
  }
  if (same_count > options_.per_reader_and_file_max) streams_.erase(oldest_same);
  if (streams_.size() > options_.stream_count_max) streams_.pop_back();
}

std::vector<BlockKey> FileStreams::LookAhead(Stream& stream) {
  stream.window_bytes =
      std::clamp(2 * stream.window_bytes, options_.window_bytes_min, options_.window_bytes_max);
  auto const active_count = static_cast<uint64_t>(
      std::count_if(streams_.begin(), streams_.end(), [&](Stream const& other) {
        return other.window_bytes > 0 && stream.last - other.last < options_.idle_after;
      }));
  uint64_t const window_bytes =
      std::min(stream.window_bytes, options_.all_bytes_max / active_count);
  base::Result<uint64_t> const file_bytes = layout_.FileSize(stream.node);
  if (!file_bytes) return {};
  uint64_t const file_end = (*file_bytes + options_.extent_bytes - 1) / options_.extent_bytes;
  uint64_t const next = (stream.end - 1) / options_.extent_bytes + 1;
  uint64_t const ahead_end = std::min(file_end, next + window_bytes / options_.extent_bytes);
  std::vector<BlockKey> wishes;
  for (uint64_t i = std::max(stream.ahead_end, next); i < ahead_end; ++i) {
    wishes.push_back({stream.node, static_cast<uint32_t>(i)});
  }
  stream.ahead_end = std::max(stream.ahead_end, ahead_end);
  return wishes;
}

}  // namespace stokefs::cache
