// Packs a source into a packed dataset (packed_manifest.h).
//
// Several threads each read the files of one chunk, and write it as one file. A file that changes
// meanwhile makes the source be listed once more and what is concerned be packed anew. What an
// interrupted pack left is read, checked and used.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "cache/chunk_layout.h"
#include "cache/origin_file.h"

namespace stokefs::cache {

struct PackProgress {
  enum class Step : uint8_t { kListing, kPacking };
  Step step = Step::kListing;
  uint64_t files_done = 0, files = 0;  // chunk files
  uint64_t bytes_done = 0, bytes = 0;  // of samples
};

struct PackOptions {
  std::string out;                        // absolute; made when it is not there
  std::vector<std::string> source_paths;  // absolute names of SOURCE, for links into it
  ChunkLayoutOptions layout;
  uint64_t extent_bytes = 1u << 20;
  size_t threads = 16;
  size_t scan_threads = 16;
  // Bytes of chunk files that are in memory at once; one file may be larger.
  uint64_t memory_bytes = 512u << 20;
  std::function<void(const PackProgress&)> on_progress;  // on the caller's thread; may be empty
  ReadAtCall read_at = base::ReadAt;
};

struct PackSummary {
  std::string digest;
  uint64_t samples = 0;
  uint64_t bytes = 0;  // of samples
  uint64_t files = 0;  // chunk files
  uint64_t reused_files = 0;
  uint64_t written_bytes = 0;  // of chunk files
};

// Blocks. `source` is SOURCE, opened as a folder. Errors: PackOutput::Open's; ESTALE: files that
// changed each time they were read; what the source and the disk answer. The message names the
// first files concerned. After an error there is no manifest, or the one that was there before, and
// all that it needs.
base::Result<PackSummary> Pack(const PackOptions& options, base::UniqueFd source);

}  // namespace stokefs::cache
