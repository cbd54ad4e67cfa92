#include "cache/chunk_file_reader.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

namespace stokefs::cache {
namespace {

// Opening takes microseconds while the disk answers: a few threads that may wait for one that does
// not, and one that keeps background reads out of the way of demand.
constexpr size_t kDemandOpeners = 4;
constexpr size_t kBackgroundOpeners = 1;

bool IsOutOfDescriptors(const base::Error& error) {
  return error.Errno() == EMFILE || error.Errno() == ENFILE;
}

}  // namespace

// Reads of one file on their way to it; answered also when they never get there.
class ChunkFileReader::OpenJob {
 public:
  explicit OpenJob(std::vector<ChunkRead> reads) : reads_(std::move(reads)) {}
  ~OpenJob() { Answer(base::Fail(unrun_code_, "chunk file").value()); }
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

ChunkFileReader::ChunkFileReader(Options options, base::Storage& storage,
                                 std::unique_ptr<base::BlockReader> reader)
    : options_(std::move(options)),
      storage_(storage),
      open_files_(options_.open_files_max),
      reader_(std::move(reader)),
      demand_openers_({.name = "disk-open",
                       .threads_max = kDemandOpeners,
                       .queue_count_max = options_.reads_max}),
      background_openers_({.name = "disk-open",
                           .threads_max = kBackgroundOpeners,
                           .queue_count_max = options_.reads_max}) {}

void ChunkFileReader::Read(std::vector<ChunkRead> reads) {
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

// `reads` are of one file, which has to be opened first.
void ChunkFileReader::OpenLater(base::ReadPriority priority, std::vector<ChunkRead> reads) {
  auto job = std::make_shared<OpenJob>(std::move(reads));
  std::errc code = std::errc::resource_unavailable_try_again;
  uint64_t const in_reader = reader_->Load().reads;
  {
    base::MutexLock lock(mu_);
    if (stopping_) {
      code = std::errc::operation_canceled;
    } else if (in_reader + opening_reads_ + job->count() <= options_.reads_max) {
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

void ChunkFileReader::OpenAndSubmit(OpenJob& job) {
  base::Result<OpenFiles::File> const file = OpenFile(job.file());
  NoteOpened(job);
  if (file) {
    job.Submit(*file, *reader_);
  } else {
    job.Answer(file.error());
  }
}

void ChunkFileReader::NoteOpened(const OpenJob& job) {
  base::MutexLock lock(mu_);
  opening_reads_ -= job.count();
  opening_bytes_ -= job.bytes();
}

base::Result<OpenFiles::File> ChunkFileReader::OpenFile(ChunkFileId id) {
  if (auto file = open_files_.Find(id.value)) return file;  // another read was faster
  base::Result<OpenFiles::File> file = OpenAnew(id);
  if (file || !IsOutOfDescriptors(file.error())) return file;
  open_files_.DropAll();
  file = OpenAnew(id);
  if (file || !IsOutOfDescriptors(file.error())) return file;
  // The process has no descriptor to give, which says nothing of the file.
  file.error().code = std::errc::resource_unavailable_try_again;
  return file;
}

base::Result<OpenFiles::File> ChunkFileReader::OpenAnew(ChunkFileId id) {
  std::string const path = options_.path_of(id);
  uint64_t const drop_count = open_files_.DropCount();
  bool is_direct = options_.direct;
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

base::ReaderLoad ChunkFileReader::Load() const {
  base::ReaderLoad load = reader_->Load();
  base::MutexLock lock(mu_);
  load.reads += opening_reads_;
  load.bytes += opening_bytes_;
  return load;
}

bool ChunkFileReader::IsStopping() const {
  base::MutexLock lock(mu_);
  return stopping_;
}

bool ChunkFileReader::Stop(std::chrono::milliseconds limit) {
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

}  // namespace stokefs::cache
