#include "cache/origin_directory.h"

#include <atomic>
#include <cerrno>
#include <utility>

#include "base/executor.h"

namespace stokefs::cache {
namespace {

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

}  // namespace

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
    base::Error error = status.error();
    bool const changed = error.code == std::errc{ESTALE};
    if (changed) statistics_.stale.Add();
    if (changed || error.code == std::errc::no_such_file_or_directory) {
      locator_.OnStale(item.key.node);
    }
    return base::Wrap(std::move(error), "origin: " + file->path);
  }

  base::Status ReadVersion(const FetchItem& item, const OriginFile& file) {
    auto reader = OriginFileReader::Open(source_.Get(), file);
    if (!reader) return tl::unexpected(reader.error());
    auto status = reader->Read(item.into, item.key.index * options_.extent_bytes, options_.read_at);
    return status ? reader->Check() : status;
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
