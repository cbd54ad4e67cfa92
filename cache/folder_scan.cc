#include "cache/folder_scan.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>
#include <vector>

namespace stokefs::cache {
namespace {

// Entries that a thread stats at a time: 128 of 2 ms are a quarter second, after which it looks
// for something more urgent; of 2 µs they are still 50 times what taking them costs.
constexpr size_t kBatchCount = 128;

// What the stats of some entries brought besides the listing's own fields.
struct BatchOutcome {
  std::vector<std::pair<size_t, std::string>> targets;
  std::vector<std::string> failed;
  uint64_t errors = 0;
  std::string error;

  void AddError(std::string message) {
    if (errors++ == 0) error = std::move(message);
  }
};

void StatBatch(const OpenedFolder& folder, FolderListing& listing, size_t first, size_t count,
               const std::atomic<bool>& stopping, BatchOutcome& outcome) {
  for (size_t i = first; i < first + count; ++i) {
    if (stopping.load(std::memory_order_relaxed)) return;
    auto answer = folder.Stat(listing.Name(i));
    if (answer) {
      listing.SetStat(i, answer->stat);
      if (!answer->target.empty()) outcome.targets.emplace_back(i, std::move(answer->target));
      continue;
    }
    listing.Drop(i);
    if (answer.error().code == std::errc::no_such_file_or_directory) continue;
    outcome.failed.emplace_back(listing.Name(i));
    outcome.AddError(std::move(answer.error().message));
  }
}

// Opens and reads names; the stats are still to come.
base::Result<std::unique_ptr<OpenedFolder>> OpenAndReadNames(FolderLister& lister,
                                                             const std::string& path,
                                                             FolderListing& listing,
                                                             BatchOutcome& outcome,
                                                             std::atomic<uint64_t>& steps) {
  auto folder = lister.Open(path);
  steps.fetch_add(1, std::memory_order_relaxed);
  if (!folder) return folder;
  auto self = (*folder)->Self();
  if (!self) return tl::unexpected<base::Error>(std::move(self.error()));
  listing.self = *self;
  auto const read = (*folder)->ReadNames([&](std::string_view name) {
    steps.fetch_add(1, std::memory_order_relaxed);
    if (FolderListing::IsName(name)) {
      listing.AddName(name);
    } else {
      outcome.AddError("a name of " + std::to_string(name.size()) + " bytes cannot be shown");
    }
  });
  if (!read) return tl::unexpected<base::Error>(read.error());
  return folder;
}

void Merge(BatchOutcome outcome, ScannedFolder& into) {
  for (auto const& [index, target] : outcome.targets) into.listing.SetTarget(index, target);
  std::move(outcome.failed.begin(), outcome.failed.end(), std::back_inserter(into.failed));
  if (into.errors == 0) into.error = std::move(outcome.error);
  into.errors += outcome.errors;
}

tl::unexpected<base::Error> Canceled() { return base::FailErrno(ECANCELED, "list folder"); }

}  // namespace

base::Result<ScannedFolder> ScanFolder(FolderLister& lister, const std::string& path,
                                       const std::atomic<bool>& stopping) {
  ScannedFolder scanned;
  BatchOutcome outcome;
  std::atomic<uint64_t> steps{0};  // nobody watches
  auto const folder = OpenAndReadNames(lister, path, scanned.listing, outcome, steps);
  if (!folder) return tl::unexpected<base::Error>(folder.error());
  StatBatch(**folder, scanned.listing, 0, scanned.listing.Count(), stopping, outcome);
  if (stopping.load(std::memory_order_relaxed)) return Canceled();
  Merge(std::move(outcome), scanned);
  scanned.listing.Sort();
  return scanned;
}

// One folder on its way. Opened by one thread; then any stats batches, [0, next) are taken and
// `running` of these not yet done; the one that ends the last batch finishes it.
struct FolderScan::Job {
  ScanRequest request;
  Priority priority = Priority::kDemand;
  std::unique_ptr<OpenedFolder> folder;
  // Stats of distinct entries are set by several threads; all else under mu_.
  ScannedFolder scanned;
  size_t next = 0;
  size_t running = 0;
  std::vector<BatchOutcome> outcomes;
};

FolderScan::FolderScan(Options options, FolderLister& lister, BackgroundSource background)
    : options_(options),
      lister_(lister),
      background_(std::move(background)),
      pool_({.name = "scan", .threads_max = options.threads, .queue_count_max = options.threads}) {}

FolderScan::~FolderScan() { Stop(std::chrono::hours(24)); }

bool FolderScan::Submit(ScanRequest request) {
  auto job = std::make_shared<Job>();
  job->request = std::move(request);
  base::MutexLock lock(mu_);
  if (stopping_ || to_open_.size() >= options_.queue_count_max) return false;
  to_open_.push_back(std::move(job));
  Wake(1);
  return true;
}

void FolderScan::Kick() {
  base::MutexLock lock(mu_);
  ++kick_count_;
  Wake(options_.threads);
}

bool FolderScan::IsBackgroundDone() const {
  base::MutexLock lock(mu_);
  return background_jobs_ == 0 && exhausted_at_kick_ == kick_count_;
}

bool FolderScan::Stop(std::chrono::milliseconds limit) {
  stopping_ = true;
  return pool_.Stop(limit);
}

void FolderScan::Wake(size_t count) {
  for (; count > 0 && active_threads_ < options_.threads && !stopping_; --count) {
    if (!pool_.TrySubmit([this] { Run(); })) return;
    ++active_threads_;
  }
}

void FolderScan::Run() {
  for (;;) {
    std::optional<Unit> unit;
    {
      base::MutexLock lock(mu_);
      if (!stopping_) unit = Take();
      if (!unit) {
        --active_threads_;
        return;
      }
    }
    if (unit->job == nullptr) {
      AskBackground(unit->kick);
    } else if (unit->count == 0) {
      OpenAndRead(unit->job);
    } else {
      StatEntries(unit->job, unit->first, unit->count);
    }
  }
}

std::optional<FolderScan::Unit> FolderScan::Take() {
  // A quarter of the threads stay free of background folders, so that a few that hang do not keep
  // those asked for waiting.
  size_t const background_max = std::max<size_t>(1, options_.threads - (options_.threads + 3) / 4);
  for (Priority priority : {Priority::kDemand, Priority::kBackground}) {
    auto& to_stat = to_stat_[static_cast<size_t>(priority)];
    if (!to_stat.empty()) {
      std::shared_ptr<Job> const job = to_stat.front();
      size_t const total = job->scanned.listing.Count();
      Unit unit{.job = job, .first = job->next, .count = std::min(kBatchCount, total - job->next)};
      job->next += unit.count;
      ++job->running;
      if (job->next == total) to_stat.pop_front();
      return unit;
    }
    if (priority == Priority::kDemand && !to_open_.empty()) {
      Unit unit{.job = std::move(to_open_.front())};
      to_open_.pop_front();
      return unit;
    }
  }
  if (exhausted_at_kick_ == kick_count_ || background_jobs_ >= background_max) return std::nullopt;
  ++background_jobs_;
  return Unit{.kick = kick_count_};
}

void FolderScan::AskBackground(uint64_t kick) {
  auto request = background_.next();
  if (!request) {
    EndBackground(kick);
    return;
  }
  auto job = std::make_shared<Job>();
  job->request = std::move(*request);
  job->priority = Priority::kBackground;
  OpenAndRead(job);
}

void FolderScan::OpenAndRead(const std::shared_ptr<Job>& job) {
  BatchOutcome outcome;
  auto folder = OpenAndReadNames(lister_, job->request.path, job->scanned.listing, outcome, steps_);
  if (!folder) return Finish(job, tl::unexpected<base::Error>(std::move(folder.error())));
  job->folder = std::move(*folder);
  Merge(std::move(outcome), job->scanned);
  size_t const total = job->scanned.listing.Count();
  if (total > kBatchCount) {
    base::MutexLock lock(mu_);
    to_stat_[static_cast<size_t>(job->priority)].push_back(job);
    Wake(total / kBatchCount);
    return;
  }
  {
    base::MutexLock lock(mu_);
    job->running = 1;
    job->next = total;
  }
  StatEntries(job, 0, total);
}

void FolderScan::StatEntries(const std::shared_ptr<Job>& job, size_t first, size_t count) {
  BatchOutcome outcome;
  // Names are read here while another batch's end may add targets to the same text: so no target is
  // merged before all batches have ended.
  StatBatch(*job->folder, job->scanned.listing, first, count, stopping_, outcome);
  steps_.fetch_add(1, std::memory_order_relaxed);
  bool is_last = false;
  {
    base::MutexLock lock(mu_);
    job->outcomes.push_back(std::move(outcome));
    --job->running;
    is_last = job->running == 0 && job->next == job->scanned.listing.Count();
  }
  if (!is_last) return;
  if (stopping_) return Finish(job, Canceled());
  for (BatchOutcome& batch : job->outcomes) Merge(std::move(batch), job->scanned);
  job->scanned.listing.Sort();
  Finish(job, std::move(job->scanned));
}

void FolderScan::Finish(const std::shared_ptr<Job>& job, base::Result<ScannedFolder> result) {
  job->folder.reset();
  job->request.done(std::move(result));
  if (job->priority == Priority::kBackground) EndBackground(0);
}

void FolderScan::EndBackground(uint64_t exhausted_at_kick) {
  bool is_done = false;
  {
    base::MutexLock lock(mu_);
    --background_jobs_;
    exhausted_at_kick_ = std::max(exhausted_at_kick_, exhausted_at_kick);
    is_done = background_jobs_ == 0 && exhausted_at_kick_ == kick_count_;
  }
  if (is_done) background_.on_done();
}

}  // namespace stokefs::cache
