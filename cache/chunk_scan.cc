#include "cache/chunk_scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <iterator>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/executor.h"
#include "base/sync.h"
#include "cache/chunk_names.h"

namespace stokefs::cache {
namespace {

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool IsOutOfDescriptors(const base::Error& error) {
  return error.Errno() == EMFILE || error.Errno() == ENFILE;
}

// The first `bytes` of a file, or all of it when it is shorter. On the grid, for O_DIRECT.
base::Result<std::span<const std::byte>> ReadStart(int fd, uint64_t bytes, uint64_t size_bytes,
                                                   base::AlignedBuffer& buffer) {
  uint64_t const wanted = base::AlignUp(bytes);
  if (buffer.bytes().size() < wanted) buffer = base::AlignedBuffer(wanted);
  size_t done = 0;
  while (done < std::min(bytes, size_bytes)) {
    ssize_t const got =
        pread(fd, buffer.bytes().data() + done, wanted - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::FailErrno(errno, "read");
    done += static_cast<size_t>(got);
    if (got == 0 || done % base::kDirectAlignment != 0) break;  // the file's end
  }
  return std::span<const std::byte>(buffer.bytes()).first(std::min<size_t>(done, bytes));
}

// Folders are dealt out to the threads one at a time; what they find goes through a bounded queue
// to the caller's thread.
class Scan {
 public:
  Scan(const ChunkScanOptions& options, base::Storage& storage)
      : options_(options), storage_(storage) {}

  base::Status Run(const std::function<void(FoundChunk)>& visit) EXCLUDES(mu_) {
    base::Result<std::vector<std::string>> folders = storage_.ListFolders(options_.path);
    if (!folders) return tl::unexpected(std::move(folders.error()));
    std::sort(folders->begin(), folders->end());
    for (size_t i = 0; i < kChunkFolderCount; ++i) {
      if (std::binary_search(folders->begin(), folders->end(), ChunkFolderName(i))) {
        folders_.push_back(i);
      }
    }
    std::vector<std::thread> threads = StartThreads();
    while (std::optional<FoundChunk> chunk = Next()) visit(std::move(*chunk));
    for (std::thread& thread : threads) thread.join();
    base::MutexLock lock(mu_);
    return std::move(status_);
  }

 private:
  // Enough that no thread waits while the caller visits, little enough to hold (heads of 3.5 MiB).
  static constexpr size_t kFoundCountMax = 64;

  std::vector<std::thread> StartThreads() EXCLUDES(mu_) {
    std::vector<std::thread> threads;
    {
      base::MutexLock lock(mu_);
      at_work_ = std::min(options_.threads, folders_.size());
    }
    size_t const wanted = std::min(options_.threads, folders_.size());
    while (threads.size() < wanted) {
      try {
        threads.emplace_back([this] {
          base::PrepareThread("disk-scan");
          Work();
        });
      } catch (const std::system_error& failure) {
        base::MutexLock lock(mu_);
        at_work_ -= wanted - threads.size();
        if (threads.empty()) {
          status_ = base::FailErrno(failure.code().value(), "disk-scan thread");
        }
        break;
      }
    }
    return threads;
  }

  std::optional<FoundChunk> Next() EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    while (found_.empty() && at_work_ > 0) found_or_end_.Wait(mu_);
    if (found_.empty()) return std::nullopt;
    FoundChunk chunk = std::move(found_.front());
    found_.pop_front();
    room_.Signal();
    return chunk;
  }

  void Put(FoundChunk chunk) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    while (found_.size() >= kFoundCountMax) room_.Wait(mu_);
    found_.push_back(std::move(chunk));
    found_or_end_.Signal();
  }

  void Work() EXCLUDES(mu_) {
    for (;;) {
      size_t folder = 0;
      {
        base::MutexLock lock(mu_);
        if (next_folder_ == folders_.size()) {
          --at_work_;
          found_or_end_.Signal();
          return;
        }
        folder = folders_[next_folder_++];
      }
      ScanFolder(folder);
    }
  }

  void SetStatus(base::Status status) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    status_ = std::move(status);
  }

  void ScanFolder(size_t index) {
    std::string const folder = options_.path + "/" + ChunkFolderName(index);
    auto const list = [&] { return storage_.ListFiles(folder); };
    base::Result<std::vector<base::StoredFile>> const files = WithDescriptors(list);
    if (!files) {
      if (files.error().Errno() == ENOENT) return;  // gone since it was listed
      SetStatus(tl::unexpected(files.error()));
      return;
    }
    for (base::StoredFile const& file : *files) {
      if (options_.gives_up()) {
        SetStatus(base::Fail(std::errc::operation_canceled, "scan"));
        return;
      }
      std::optional<ChunkFileName> const name = ParseChunkFileName(index, file.name);
      if (name && !options_.skips(name->id)) Look(folder + "/" + file.name, file, *name);
    }
  }

  void Look(const std::string& path, const base::StoredFile& file, ChunkFileName name) {
    // What a crash left. If it cannot be removed it stays, and so does the room that it takes.
    if (name.kind == ChunkFileKind::kUnfinished) {
      static_cast<void>(storage_.Remove(path));
      return;
    }
    FoundChunk found{.file = {name.id},
                     .allocated_bytes = file.allocated_bytes,
                     .head = {},
                     .is_bad = name.kind == ChunkFileKind::kBad};
    if (!found.is_bad) {
      base::Result<base::UniqueFd> const fd = WithDescriptors([&] { return Open(path); });
      if (fd) {
        found.head = ReadChunkHead(fd->Get(), file.size_bytes);
      } else {
        if (fd.error().Errno() == ENOENT) return;  // gone since it was listed
        found.head = tl::unexpected(fd.error());
      }
    }
    if (!found.head) found.head = base::Wrap(found.head.error(), path);
    Put(std::move(found));
  }

  base::Result<base::UniqueFd> Open(const std::string& path) {
    if (!options_.direct) return storage_.OpenToRead(path, 0);
    base::Result<base::UniqueFd> fd = storage_.OpenToRead(path, O_DIRECT);
    return !fd && fd.error().Errno() == EINVAL ? storage_.OpenToRead(path, 0) : std::move(fd);
  }

  template <typename Call>
  auto WithDescriptors(Call call) -> decltype(call()) {
    auto result = call();
    if (result || !IsOutOfDescriptors(result.error())) return result;
    options_.free_descriptors();
    return call();
  }

  const ChunkScanOptions& options_;
  base::Storage& storage_;
  std::vector<size_t> folders_;  // constant while there are threads

  base::Mutex mu_;
  base::CondVar found_or_end_;
  base::CondVar room_;
  std::deque<FoundChunk> found_ GUARDED_BY(mu_);
  size_t next_folder_ GUARDED_BY(mu_) = 0;
  size_t at_work_ GUARDED_BY(mu_) = 0;  // threads
  base::Status status_ GUARDED_BY(mu_);
};

}  // namespace

base::Result<ChunkHead> ReadChunkHead(int fd, uint64_t size_bytes) {
  // Most heads are within the first page; the kernel shall not read ahead for one that is not.
  posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
  base::AlignedBuffer buffer;
  auto start = ReadStart(fd, base::kDirectAlignment, size_bytes, buffer);
  if (!start) return tl::unexpected(start.error());
  base::Result<uint64_t> const head_bytes = HeadBytesOf(AsText(*start));
  if (!head_bytes) return tl::unexpected(head_bytes.error());
  if (*head_bytes > start->size()) {
    start = ReadStart(fd, *head_bytes, size_bytes, buffer);
    if (!start) return tl::unexpected(start.error());
  }
  base::Result<ChunkHead> head = ParseChunkHead(AsText(*start));
  if (head && head->file_bytes != size_bytes) {
    return base::FailErrno(EBADMSG, "the file is " + std::to_string(size_bytes) + " bytes, not " +
                                        std::to_string(head->file_bytes));
  }
  return head;
}

base::Status ScanChunks(const ChunkScanOptions& options, base::Storage& storage,
                        const std::function<void(FoundChunk)>& visit) {
  return Scan(options, storage).Run(visit);
}

}  // namespace stokefs::cache
