#include "cache/chunk_directory.h"

#include <bitset>
#include <cerrno>
#include <utility>

#include "base/bandwidth_meter.h"
#include "base/sync.h"
#include "cache/chunk_file_reader.h"
#include "cache/chunk_ids.h"
#include "cache/chunk_names.h"
#include "cache/chunk_scan.h"

namespace stokefs::cache {
namespace {

std::unique_ptr<base::BlockReader> MakeReader(const ChunkDirectory::Options& options,
                                              const base::Status& direct) {
  base::BlockReader::Options reader{.reads_max = options.reads_queued_max,
                                    .buffer_bytes = options.buffer_bytes};
  if (!options.direct) return base::MakeThreadReader(std::move(reader), "as configured");
  // Without O_DIRECT the page cache is the buffer, and io_uring has nothing to offer.
  if (!direct) return base::MakeThreadReader(std::move(reader), direct.error().message);
  auto uring = base::MakeUringReader(reader);
  if (uring) return std::move(*uring);
  return base::MakeThreadReader(std::move(reader), uring.error().message);
}

}  // namespace

class ChunkDirectory::Impl {
 public:
  Impl(Options options, base::Storage& storage, const base::Status& direct)
      : options_(std::move(options)),
        storage_(storage),
        is_direct_(options_.direct && direct.has_value()),
        reader_(
            {.direct = is_direct_,
             .open_files_max = options_.open_files_max,
             .reads_max = options_.reads_queued_max,
             .path_of = [this](ChunkFileId file) { return PathOf(file, ChunkFileKind::kWhole); }},
            storage, MakeReader(options_, direct)) {}

  const std::string& path() const { return options_.path; }

  std::string PathOf(ChunkFileId file, ChunkFileKind kind) const {
    return options_.path + "/" + ChunkFilePath({.id = file.value, .kind = kind});
  }

  base::Status Scan(const std::function<void(FoundChunk)>& visit) {
    return ScanChunks({.path = options_.path,
                       .direct = is_direct_,
                       .skips = [this](uint64_t id) { return ids_.IsOurs(id); },
                       .free_descriptors = [this] { reader_.CloseAll(); },
                       .gives_up = [this] { return reader_.IsStopping(); }},
                      storage_, visit);
  }

  base::Result<Written> Write(std::span<const std::byte> image) EXCLUDES(mu_) {
    NoteWrite(image.size(), 0, 0);
    base::Result<Written> written = TryWrite(image);
    NoteWrite(0, image.size(), written ? image.size() : 0);
    return written;
  }

  base::Status Remove(ChunkFileId file) {
    base::Status removed = storage_.Remove(PathOf(file, ChunkFileKind::kWhole));
    if (!removed && removed.error().Errno() == ENOENT) {
      removed = storage_.Remove(PathOf(file, ChunkFileKind::kBad));
    }
    return Forget(file, std::move(removed));
  }

  base::Status PutAside(ChunkFileId file) {
    std::string const from = PathOf(file, ChunkFileKind::kWhole);
    std::string const to = PathOf(file, ChunkFileKind::kBad);
    base::Status renamed = storage_.Rename(from, to);
    if (!renamed && renamed.error().Errno() == EEXIST && storage_.Remove(to)) {
      renamed = storage_.Rename(from, to);
    }
    return Forget(file, std::move(renamed));
  }

  base::Result<base::StorageSpace> Space() const { return storage_.Space(options_.path); }

  DirectoryLoad Load() const EXCLUDES(mu_) {
    base::ReaderLoad const reader = reader_.Load();
    base::MutexLock lock(mu_);
    return {.reads = reader.reads,
            .read_bytes = reader.bytes,
            .read_bytes_per_s = reader.bytes_per_s,
            .write_bytes = write_bytes_,
            .write_bytes_per_s = write_meter_.BytesPerSecond()};
  }

  ChunkFileReader& reader() { return reader_; }

 private:
  base::Result<Written> TryWrite(std::span<const std::byte> image) {
    constexpr int kTriesMax = 3;
    for (int tries = 1;; ++tries) {
      ChunkFileId const file{ids_.Next()};
      base::Result<Written> written = WriteAs(file, image);
      if (written || tries == kTriesMax) return written;
      if (written.error().Errno() == EEXIST) {
        ids_.StartAnew();
      } else if (written.error().Errno() != ENOENT) {
        return written;  // else somebody removed the folder, which is then made again
      }
    }
  }

  base::Result<Written> WriteAs(ChunkFileId file, std::span<const std::byte> image) {
    std::string const folder = options_.path + "/" + ChunkFolderName(ChunkFolderOf(file.value));
    if (base::Status made = MakeFolder(file, folder); !made) return tl::unexpected(made.error());
    std::string const unfinished = PathOf(file, ChunkFileKind::kUnfinished);
    std::string const whole = PathOf(file, ChunkFileKind::kWhole);
    base::Result<base::StoredFile> const written = storage_.WriteNew(unfinished, image);
    if (!written) {
      if (written.error().Errno() == ENOENT) ForgetFolder(file);
      if (written.error().Errno() != EEXIST) static_cast<void>(storage_.Remove(unfinished));
      return tl::unexpected(written.error());
    }
    if (base::Status renamed = storage_.Rename(unfinished, whole); !renamed) {
      static_cast<void>(storage_.Remove(unfinished));
      return tl::unexpected(renamed.error());
    }
    if (base::Status synced = storage_.SyncFolder(folder); !synced) {
      static_cast<void>(storage_.Remove(whole));
      return tl::unexpected(synced.error());
    }
    return Written{.file = file, .allocated_bytes = written->allocated_bytes};
  }

  base::Status MakeFolder(ChunkFileId file, const std::string& folder) EXCLUDES(mu_) {
    size_t const index = ChunkFolderOf(file.value);
    {
      base::MutexLock lock(mu_);
      if (made_folders_[index]) return {};
    }
    // A directory that somebody took away is not made again behind his back.
    if (auto const space = storage_.Space(options_.path); !space) {
      return tl::unexpected(space.error());
    }
    if (base::Status made = storage_.MakeFolders(folder); !made) return made;
    if (base::Status synced = storage_.SyncFolder(options_.path); !synced) return synced;
    base::MutexLock lock(mu_);
    made_folders_[index] = true;
    return {};
  }

  void ForgetFolder(ChunkFileId file) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    made_folders_[ChunkFolderOf(file.value)] = false;
  }

  base::Status Forget(ChunkFileId file, base::Status changed) {
    // After the change: whoever opened it before does not keep it open now.
    reader_.Forget(file);
    if (!changed && changed.error().Errno() == ENOENT) return {};
    return changed;
  }

  void NoteWrite(uint64_t begun_bytes, uint64_t ended_bytes, uint64_t done_bytes) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    write_bytes_ += begun_bytes;
    write_bytes_ -= ended_bytes;
    write_meter_.Update(std::chrono::steady_clock::now(), done_bytes, write_bytes_ > 0);
  }

  const Options options_;
  base::Storage& storage_;
  const bool is_direct_;
  ChunkIds ids_;

  mutable base::Mutex mu_;  // a leaf
  std::bitset<kChunkFolderCount> made_folders_ GUARDED_BY(mu_);
  uint64_t write_bytes_ GUARDED_BY(mu_) = 0;  // of writes under way
  base::BandwidthMeter write_meter_ GUARDED_BY(mu_);

  ChunkFileReader reader_;  // last: its threads use the above
};

ChunkDirectory::ChunkDirectory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ChunkDirectory::~ChunkDirectory() { Stop(std::chrono::hours(24)); }

base::Result<std::unique_ptr<ChunkDirectory>> ChunkDirectory::Open(Options options,
                                                                   base::Storage& storage) {
  if (base::Status made = storage.MakeFolders(options.path); !made) {
    return base::Wrap(std::move(made.error()), "cache directory");
  }
  base::Status const direct = storage.TryDirectReads(options.path);
  return std::unique_ptr<ChunkDirectory>(
      new ChunkDirectory(std::make_unique<Impl>(std::move(options), storage, direct)));
}

const std::string& ChunkDirectory::path() const { return impl_->path(); }

std::string ChunkDirectory::PathOf(ChunkFileId file) const {
  return impl_->PathOf(file, ChunkFileKind::kWhole);
}

const char* ChunkDirectory::ReaderName() const { return impl_->reader().Name().c_str(); }

base::Status ChunkDirectory::Scan(const std::function<void(FoundChunk)>& visit) {
  return impl_->Scan(visit);
}

base::Result<ChunkDirectory::Written> ChunkDirectory::Write(std::span<const std::byte> image) {
  return impl_->Write(image);
}

// ext4's worst case: each block an extent of its own, 340 of them in a block of the tree. XFS and
// btrfs keep extents elsewhere.
uint64_t ChunkDirectory::AllocatedBytes(uint64_t image_bytes) {
  constexpr uint64_t kExtentsPerBlock = 340;
  auto const divide_up = [](uint64_t a, uint64_t b) { return (a + b - 1) / b; };
  uint64_t const blocks = divide_up(image_bytes, kChunkAlignment);
  uint64_t const leaves = divide_up(blocks, kExtentsPerBlock);
  return (blocks + leaves + divide_up(leaves, kExtentsPerBlock)) * kChunkAlignment;
}

void ChunkDirectory::Read(std::vector<ChunkRead> reads) { impl_->reader().Read(std::move(reads)); }

base::Status ChunkDirectory::Remove(ChunkFileId file) { return impl_->Remove(file); }

base::Status ChunkDirectory::PutAside(ChunkFileId file) { return impl_->PutAside(file); }

base::Result<base::StorageSpace> ChunkDirectory::Space() const { return impl_->Space(); }

DirectoryLoad ChunkDirectory::Load() const { return impl_->Load(); }

bool ChunkDirectory::Stop(std::chrono::milliseconds limit) { return impl_->reader().Stop(limit); }

}  // namespace stokefs::cache
