#include "cache/origin_directory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "base/executor.h"
#include "cache/open_beneath.h"

namespace stokefs::cache {
namespace {

// O_NONBLOCK: a FIFO that took the file's place must not block the open.
constexpr int kOpenFlags = O_RDONLY | O_NOCTTY | O_NONBLOCK | O_NOATIME;

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

base::Result<base::UniqueFd> OpenFile(int source, const std::string& path) {
  int flags = kOpenFlags;
  base::Result<base::UniqueFd> file = OpenBeneath(source, path, flags);
  if (!file && file.error().Errno() == EPERM) {  // another user's file: O_NOATIME is not for us
    flags &= ~O_NOATIME;
    file = OpenBeneath(source, path, flags);
  }
  if (!file && file.error().Errno() == EAGAIN) {  // a lease on it (fcntl(2)), being broken for us
    flags &= ~O_NONBLOCK;
    file = OpenBeneath(source, path, flags);
  }
  return file;
}

base::Status CheckVersion(int fd, const FileVersion& expected) {
  struct stat found;
  if (fstat(fd, &found) != 0) return base::FailErrno(errno, "stat");
  FileVersion const version{.size_bytes = static_cast<uint64_t>(found.st_size),
                            .inode = found.st_ino,
                            .mtime_ns = Nanoseconds(found.st_mtim),
                            .ctime_ns = Nanoseconds(found.st_ctim)};
  if (S_ISREG(found.st_mode) && version == expected) return {};
  return base::FailErrno(ESTALE, "the file changed");
}

// What an error of the origin says about the node's version.
base::Error Judge(base::Error error) {
  if (error.Errno() == ELOOP) error.code = std::errc{ESTALE};  // a link took a component's place
  if (error.code == std::errc::not_a_directory) error.code = std::errc::no_such_file_or_directory;
  // Out of descriptors: says nothing of the file, and others give some back.
  bool const is_short = error.code == std::errc::too_many_files_open ||
                        error.code == std::errc::too_many_files_open_in_system;
  if (is_short) error.code = std::errc::resource_unavailable_try_again;
  return error;
}

// One item on its way through the queue; answered also when the pool drops it unrun.
class Job {
 public:
  explicit Job(FetchItem item) : item_(std::move(item)) {}
  ~Job() {
    if (item_.done) item_.done(base::Fail(unrun_code_, "origin"));
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  FetchItem Take() { return std::exchange(item_, {}); }
  // Only by whoever knows that it will not run.
  void Refuse(std::errc code) { unrun_code_ = code; }

 private:
  FetchItem item_;
  std::errc unrun_code_ = std::errc::operation_canceled;
};

// A quarter, at least one; with a single thread none can be kept free.
size_t ThreadsForDemand(size_t threads) {
  return threads == 1 ? 0 : std::max<size_t>(1, threads / 4);
}

int64_t WallClockNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

// A file system stamps a change with the time of its last tick. What was changed within the tick of
// the look could change again and bear the same times, so such a version is not read before the
// tick is over (Git calls such a file racily clean).
base::Duration UntilSettled(const FileVersion& version, int64_t wall_clock_ns) {
  int64_t const changed_ns = std::max(version.ctime_ns, version.mtime_ns);
  // Whole seconds in both: a file system that keeps no more (FAT: two). Else a jiffy, 10 ms at
  // most.
  bool const coarse =
      version.ctime_ns % 1'000'000'000 == 0 && version.mtime_ns % 1'000'000'000 == 0;
  base::Duration const tick =
      coarse ? std::chrono::milliseconds(2100) : base::Duration(std::chrono::milliseconds(20));
  base::Duration const age(wall_clock_ns - changed_ns);
  // A time ahead of ours is another machine's clock: it says nothing of when that was.
  if (age < base::Duration() || age >= tick) return {};
  return tick - age;
}

class OriginDirectory::Impl {
 public:
  Impl(Options options, base::UniqueFd source, OriginLocator& locator, const base::Clock& clock)
      : options_(std::move(options)),
        source_(std::move(source)),
        locator_(locator),
        clock_(clock),
        pool_({.name = "origin",
               .threads_max = options_.threads,
               .queue_count_max = options_.queue_count_max,
               .background_threads_max = options_.threads - ThreadsForDemand(options_.threads)}) {}

  void Fetch(FetchItem item) {
    auto const priority = item.priority == FetchPriority::kDemand ? base::WorkPriority::kNormal
                                                                  : base::WorkPriority::kBackground;
    auto job = std::make_shared<Job>(std::move(item));
    if (pool_.TrySubmit([this, job] { Run(job->Take()); }, priority)) return;
    statistics_.errors.Add();
    bool const ending = stopping_.load(std::memory_order_relaxed);
    job->Refuse(ending ? std::errc::operation_canceled : std::errc::resource_unavailable_try_again);
  }

  bool Stop(std::chrono::milliseconds limit) {
    stopping_.store(true, std::memory_order_relaxed);
    return pool_.Stop(limit);
  }

  const OriginStatistics& Statistics() const { return statistics_; }

 private:
  void Run(const FetchItem& item) {
    base::TimePoint const started = clock_.Now();
    base::Status status =
        started >= item.deadline
            ? base::Status(base::Fail(std::errc::timed_out, "origin: not started in time"))
            : ReadBlock(item);
    if (status) {
      statistics_.reads.Add();
      statistics_.bytes.Add(item.into.size());
      statistics_.latency.Add(clock_.Now() - started);
    } else {
      statistics_.errors.Add();
    }
    item.done(std::move(status));
  }

  base::Status ReadBlock(const FetchItem& item) {
    base::Result<OriginFile> const file = locator_.LocateAtOrigin(item.key.node);
    if (!file) return base::Wrap(file.error(), "origin");
    base::Status const status = ReadVersion(item, *file);
    if (status) return {};
    base::Error error = Judge(status.error());
    bool const changed = error.code == std::errc{ESTALE};
    if (changed) statistics_.stale.Add();
    if (changed || error.code == std::errc::no_such_file_or_directory) {
      locator_.OnStale(item.key.node);
    }
    return base::Wrap(std::move(error), "origin: " + file->path);
  }

  base::Status ReadVersion(const FetchItem& item, const OriginFile& file) {
    uint64_t const offset = item.key.index * options_.extent_bytes;
    base::Result<base::UniqueFd> const fd = OpenFile(source_.Get(), file.path);
    if (!fd) return tl::unexpected(fd.error());
    if (auto status = CheckVersion(fd->Get(), file.version); !status) return status;
    if (auto const wait = UntilSettled(file.version, WallClockNs()); wait > base::Duration()) {
      std::this_thread::sleep_for(wait);
    }
    base::Result<size_t> const got = options_.read_at(fd->Get(), item.into, offset);
    if (!got) return tl::unexpected(got.error());
    if (*got != item.into.size()) return base::FailErrno(ESTALE, "the file is shorter");
    return CheckVersion(fd->Get(), file.version);
  }

  const Options options_;
  const base::UniqueFd source_;
  OriginLocator& locator_;
  const base::Clock& clock_;
  OriginStatistics statistics_;        // counters are atomic
  std::atomic<bool> stopping_{false};  // atomic: only chooses the errno of a refusal
  base::ThreadPool pool_;              // last: its threads use all of the above
};

OriginDirectory::OriginDirectory(Options options, base::UniqueFd source, OriginLocator& locator,
                                 const base::Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(source), locator, clock)) {}

OriginDirectory::~OriginDirectory() = default;

void OriginDirectory::Fetch(std::vector<FetchItem> items) {
  for (FetchItem& item : items) impl_->Fetch(std::move(item));
}

bool OriginDirectory::Stop(std::chrono::milliseconds limit) { return impl_->Stop(limit); }

const OriginStatistics& OriginDirectory::Statistics() const { return impl_->Statistics(); }

}  // namespace stokefs::cache
