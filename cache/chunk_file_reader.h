// Reads of chunk files by their id: finds each one's descriptor, or opens it, and hands the reads
// to the device's reader.
//
// Opening can hang with the disk, so threads of its own do that, some of them for demand alone.
// Owns the block reader and the descriptors. Thread-safe; Read does not block.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/block_reader.h"
#include "base/executor.h"
#include "base/storage.h"
#include "base/sync.h"
#include "cache/chunk_directory.h"
#include "cache/open_files.h"

namespace stokefs::cache {

class ChunkFileReader {
 public:
  struct Options {
    bool direct = false;  // O_DIRECT, where a file takes it
    size_t open_files_max = 0;
    size_t reads_max = 0;  // not answered yet
    std::function<std::string(ChunkFileId)> path_of;
  };
  // `storage` outlives it.
  ChunkFileReader(Options options, base::Storage& storage,
                  std::unique_ptr<base::BlockReader> reader);

  void Read(std::vector<ChunkRead> reads) EXCLUDES(mu_);  // as ChunkDirectory's

  // To be called after the file was removed or renamed.
  void Forget(ChunkFileId file) { open_files_.Drop(file.value); }
  void CloseAll() { open_files_.DropAll(); }

  base::ReaderLoad Load() const EXCLUDES(mu_);
  const std::string& Name() const { return reader_->Name(); }
  bool IsStopping() const EXCLUDES(mu_);
  bool Stop(std::chrono::milliseconds limit) EXCLUDES(mu_);  // as ChunkDirectory's

 private:
  class OpenJob;

  void OpenLater(base::ReadPriority priority, std::vector<ChunkRead> reads) EXCLUDES(mu_);
  void OpenAndSubmit(OpenJob& job) EXCLUDES(mu_);
  void NoteOpened(const OpenJob& job) EXCLUDES(mu_);
  base::Result<OpenFiles::File> OpenFile(ChunkFileId id);
  base::Result<OpenFiles::File> OpenAnew(ChunkFileId id);

  const Options options_;
  base::Storage& storage_;
  OpenFiles open_files_;

  mutable base::Mutex mu_;  // a leaf
  uint64_t opening_reads_ GUARDED_BY(mu_) = 0;
  uint64_t opening_bytes_ GUARDED_BY(mu_) = 0;
  bool stopping_ GUARDED_BY(mu_) = false;

  // Last, because their threads use all of the above. The openers use the reader.
  const std::unique_ptr<base::BlockReader> reader_;
  base::ThreadPool demand_openers_;
  base::ThreadPool background_openers_;
};

}  // namespace stokefs::cache
