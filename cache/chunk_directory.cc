#include "cache/chunk_directory.h"

#include <fcntl.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>
#include <map>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/bandwidth_meter.h"
#include "base/executor.h"
#include "base/sync.h"
#include "cache/chunk_names.h"
#include "cache/chunk_scan.h"
#include "cache/open_files.h"

namespace stokefs::cache {
namespace {

// Opening takes microseconds while the disk answers: a few threads that may wait for one that does
// not, and one that keeps background reads out of the way of demand.
constexpr size_t kDemandOpeners = 4;
constexpr size_t kBackgroundOpeners = 1;

// New ids, without a look at those that are there: 40 random bits a start, then a count. Two starts
// draw the same bits once in 10^12; the file that is there already then says EEXIST.
class IdSource {
 public:
  IdSource() { StartAnew(); }

  uint64_t Next() EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    if (count_ > kCountMax) Draw();
    return starts_.back() | count_++;
  }

  void StartAnew() EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    Draw();
  }

  bool IsOurs(uint64_t id) const EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    return std::find(starts_.begin(), starts_.end(), id & ~kCountMax) != starts_.end();
  }

 private:
  static constexpr uint64_t kCountMax = (1u << 24) - 1;

  void Draw() REQUIRES(mu_) {
    uint64_t bits = 0;
    STOKEFS_CHECK(getrandom(&bits, sizeof(bits), 0) == sizeof(bits));
    starts_.push_back(bits & ~kCountMax);
    count_ = 0;
  }

  mutable base::Mutex mu_;
  std::vector<uint64_t> starts_ GUARDED_BY(mu_);
  uint64_t count_ GUARDED_BY(mu_) = 0;
};

// Reads of one file on their way to it; answered also when they never get there.
class OpenJob {
 public:
  explicit OpenJob(std::vector<ChunkRead> reads) : reads_(std::move(reads)) {}
  ~OpenJob() { Answer(base::Fail(unrun_code_, "chunk directory").value()); }
  OpenJob(const OpenJob&) = delete;
  OpenJob& operator=(const OpenJob&) = delete;

  ChunkFileId file() const { return reads_.front().file; }
  uint64_t count() const { return reads_.size(); }
  uint64_t bytes() const {
    uint64_t bytes = 0;
    for (ChunkRead const& read : reads_) bytes += read.into.size();
    return bytes;
  }

  void Answer(const base::Error& error) {
    for (ChunkRead& read : std::exchange(reads_, {})) read.done(tl::unexpected(error));
  }
  void Submit(const OpenFiles::File& file, base::BlockReader& reader) {
    std::vector<base::BlockRead> reads;
    for (ChunkRead& read : std::exchange(reads_, {})) {
      reads.push_back({.file = file,
                       .offset = read.offset,
                       .into = read.into,
                       .priority = read.priority,
                       .done = std::move(read.done)});
    }
    reader.Submit(std::move(reads));
  }
  // Only by whoever knows that it will not run.
  void Refuse(std::errc code) { unrun_code_ = code; }

 private:
  std::vector<ChunkRead> reads_;
  std::errc unrun_code_ = std::errc::operation_canceled;
};

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
        open_files_(options_.open_files_max),
        reader_(MakeReader(options_, direct)),
        demand_openers_({.name = "disk-open",
                         .threads_max = kDemandOpeners,
                         .queue_count_max = options_.reads_queued_max}),
        background_openers_({.name = "disk-open",
                             .threads_max = kBackgroundOpeners,
                             .queue_count_max = options_.reads_queued_max}) {}

  const std::string& path() const { return options_.path; }
  const std::string& ReaderName() const { return reader_->Name(); }

  std::string PathOf(ChunkFileId file, ChunkFileKind kind) const {
    return options_.path + "/" + ChunkFilePath({.id = file.value, .kind = kind});
  }

  base::Status Scan(const std::function<void(FoundChunk)>& visit) {
    return ScanChunks({.path = options_.path,
                       .direct = is_direct_,
                       .skips = [this](uint64_t id) { return ids_.IsOurs(id); },
                       .free_descriptors = [this] { open_files_.DropAll(); }},
                      storage_, visit);
  }

  base::Result<Written> Write(std::span<const std::byte> image) EXCLUDES(mu_) {
    NoteWrite(image.size(), 0, 0);
    base::Result<Written> written = TryWrite(image);
    NoteWrite(0, image.size(), written ? image.size() : 0);
    return written;
  }

  void Read(std::vector<ChunkRead> reads) EXCLUDES(mu_) {
    std::vector<base::BlockRead> ready;
    std::map<std::pair<base::ReadPriority, ChunkFileId>, std::vector<ChunkRead>> closed;
    for (ChunkRead& read : reads) {
      if (auto file = open_files_.Find(read.file.value)) {
        ready.push_back({.file = std::move(file),
                         .offset = read.offset,
                         .into = read.into,
                         .priority = read.priority,
                         .done = std::move(read.done)});
      } else {
        closed[{read.priority, read.file}].push_back(std::move(read));
      }
    }
    if (!ready.empty()) reader_->Submit(std::move(ready));
    for (auto& [key, of_file] : closed) OpenLater(key.first, std::move(of_file));
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
    base::ReaderLoad const reader = reader_->Load();
    base::MutexLock lock(mu_);
    return {.reads = reader.reads + opening_reads_,
            .read_bytes = reader.bytes + opening_bytes_,
            .read_bytes_per_s = reader.bytes_per_s,
            .write_bytes = write_bytes_,
            .write_bytes_per_s = write_meter_.BytesPerSecond()};
  }

  bool Stop(std::chrono::milliseconds limit) EXCLUDES(mu_) {
    {
      base::MutexLock lock(mu_);
      stopping_ = true;
    }
    auto const end = std::chrono::steady_clock::now() + limit;
    auto const left = [end] {
      auto const now = std::chrono::steady_clock::now();
      return std::chrono::ceil<std::chrono::milliseconds>(std::max(end, now) - now);
    };
    bool all_ended = true;
    for (auto* pool : {&demand_openers_, &background_openers_}) {
      all_ended = pool->Stop(left()) && all_ended;
    }
    return reader_->Stop(left()) && all_ended;
  }

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
    open_files_.Drop(file.value);
    if (!changed && changed.error().Errno() == ENOENT) return {};
    return changed;
  }

  // `reads` are of one file, which has to be opened first.
  void OpenLater(base::ReadPriority priority, std::vector<ChunkRead> reads) EXCLUDES(mu_) {
    auto job = std::make_shared<OpenJob>(std::move(reads));
    std::errc code = std::errc::resource_unavailable_try_again;
    uint64_t const in_reader = reader_->Load().reads;
    {
      base::MutexLock lock(mu_);
      if (stopping_) {
        code = std::errc::operation_canceled;
      } else if (in_reader + opening_reads_ + job->count() <= options_.reads_queued_max) {
        opening_reads_ += job->count();
        opening_bytes_ += job->bytes();
        code = {};
      }
    }
    if (code != std::errc{}) {
      job->Refuse(code);
      return;
    }
    base::ThreadPool& openers =
        priority == base::ReadPriority::kDemand ? demand_openers_ : background_openers_;
    if (openers.TrySubmit([this, job] { OpenAndSubmit(*job); })) return;
    NoteOpened(*job);
    job->Refuse(std::errc::resource_unavailable_try_again);
  }

  void OpenAndSubmit(OpenJob& job) EXCLUDES(mu_) {
    base::Result<OpenFiles::File> const file = OpenFile(job.file());
    NoteOpened(job);
    if (file) {
      job.Submit(*file, *reader_);
    } else {
      job.Answer(file.error());
    }
  }

  void NoteOpened(const OpenJob& job) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    opening_reads_ -= job.count();
    opening_bytes_ -= job.bytes();
  }

  base::Result<OpenFiles::File> OpenFile(ChunkFileId id) {
    if (auto file = open_files_.Find(id.value)) return file;  // another read was faster
    base::Result<OpenFiles::File> file = OpenAnew(id);
    if (file || (file.error().Errno() != EMFILE && file.error().Errno() != ENFILE)) return file;
    open_files_.DropAll();
    file = OpenAnew(id);
    if (file || (file.error().Errno() != EMFILE && file.error().Errno() != ENFILE)) return file;
    // The process has no descriptor to give, which says nothing of the file.
    file.error().code = std::errc::resource_unavailable_try_again;
    return file;
  }

  base::Result<OpenFiles::File> OpenAnew(ChunkFileId id) {
    std::string const path = PathOf(id, ChunkFileKind::kWhole);
    uint64_t const drop_count = open_files_.DropCount();
    bool is_direct = is_direct_;
    base::Result<base::UniqueFd> fd = storage_.OpenToRead(path, is_direct ? O_DIRECT : 0);
    if (!fd && is_direct && fd.error().Errno() == EINVAL) {
      is_direct = false;
      fd = storage_.OpenToRead(path, 0);
    }
    if (!fd) return tl::unexpected(fd.error());
    auto file = std::make_shared<const base::ReadableFile>(
        base::ReadableFile{.fd = std::move(*fd), .is_direct = is_direct});
    open_files_.Keep(id.value, file, drop_count);
    return OpenFiles::File(std::move(file));
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
  IdSource ids_;
  OpenFiles open_files_;

  mutable base::Mutex mu_;  // a leaf
  std::bitset<kChunkFolderCount> made_folders_ GUARDED_BY(mu_);
  uint64_t opening_reads_ GUARDED_BY(mu_) = 0;
  uint64_t opening_bytes_ GUARDED_BY(mu_) = 0;
  uint64_t write_bytes_ GUARDED_BY(mu_) = 0;  // of writes under way
  base::BandwidthMeter write_meter_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;

  // Last, because their threads use all of the above. The openers use the reader.
  const std::unique_ptr<base::BlockReader> reader_;
  base::ThreadPool demand_openers_;
  base::ThreadPool background_openers_;
};

ChunkDirectory::ChunkDirectory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ChunkDirectory::~ChunkDirectory() { impl_->Stop(std::chrono::hours(24)); }

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

const char* ChunkDirectory::ReaderName() const { return impl_->ReaderName().c_str(); }

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

void ChunkDirectory::Read(std::vector<ChunkRead> reads) { impl_->Read(std::move(reads)); }

base::Status ChunkDirectory::Remove(ChunkFileId file) { return impl_->Remove(file); }

base::Status ChunkDirectory::PutAside(ChunkFileId file) { return impl_->PutAside(file); }

base::Result<base::StorageSpace> ChunkDirectory::Space() const { return impl_->Space(); }

DirectoryLoad ChunkDirectory::Load() const { return impl_->Load(); }

bool ChunkDirectory::Stop(std::chrono::milliseconds limit) { return impl_->Stop(limit); }

}  // namespace stokefs::cache
