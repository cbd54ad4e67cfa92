// A refresh: all folders compared with the origin because somebody asks, as fast as the first scan.
//
// The comparisons are background work of the scan's threads, which leave some for listings that a
// reader waits for; the keeper applies them, as it does all others. At most one run at a time.
#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "cache/catalog_impl.h"

namespace stokefs::cache {
namespace {

// Listings that wait for the keeper, for each thread that makes them: a folder of a million entries
// is 100 MB.
constexpr size_t kComparedPerThread = 2;

}  // namespace

void Catalog::Impl::Refresh(RefreshDone done) {
  {
    base::MutexLock lock(mu_);
    if (!stopping_) {
      if (!refresh_ && refresh_queued_.empty()) last_step_ = clock_.Now();
      refresh_queued_.push_back(std::move(done));
      woken_ = true;
      work_or_stop_.Signal();
      return;
    }
  }
  done(base::Fail(std::errc::operation_canceled, "the mount is ending"));
}

RefreshProgress Catalog::Impl::Refreshing() const {
  base::MutexLock lock(mu_);
  if (!refresh_) return {};
  return {.is_running = true, .folders = refresh_->compared, .folders_total = refresh_->end};
}

// The keeper's part, after each piece of other work.
void Catalog::Impl::AdvanceRefresh() {
  BeginRefresh();
  SortOutAgain();
  std::optional<base::Error> failure;
  bool is_more_to_ask = false;
  std::string progress;
  {
    base::MutexLock lock(mu_);
    if (!refresh_ && refresh_queued_.empty()) return;
    if (refresh_) {
      failure = refresh_->failure;
      is_more_to_ask = refresh_->cursor < refresh_->end || !refresh_->ready.empty();
      progress = ": compared " + std::to_string(refresh_->compared) + " of " +
                 std::to_string(refresh_->end) + " folders, and took over what they showed";
    }
  }
  if (failure) return FailRefreshes(*failure);
  if (is_more_to_ask) scan_.Kick();
  if (IsRefreshed()) return ReportRefresh();
  if (IsOriginSilent()) {
    FailRefreshes({std::errc::timed_out, "the origin does not answer" + progress});
  }
}

void Catalog::Impl::BeginRefresh() {
  base::MutexLock lock(mu_);
  // Before the first scan is whole there is nothing to compare with.
  if (refresh_ || refresh_queued_.empty() || loading_ || !summary_) return;
  base::ReaderLock table_lock(table_mu_);
  refresh_.emplace();
  refresh_->serial = ++refresh_serial_;
  refresh_->waiters = std::move(refresh_queued_);
  refresh_queued_.clear();
  refresh_->end = table_.FolderCount();
  refresh_->before = table_.Tally();
  last_step_ = clock_.Now();
  rescan_cursor_ = rescan_end_;  // all of it is done here
  cursor_ = 0;                   // folders that could not be listed are tried again
}

// Which of those that were being looked at have become free.
void Catalog::Impl::SortOutAgain() {
  std::vector<NodeId> again, free;
  {
    base::MutexLock lock(mu_);
    if (!refresh_ || refresh_->again.empty()) return;
    again.swap(refresh_->again);
  }
  // A folder lands after it was put into the table: one that is not in flight here is listed below,
  // or could not be.
  auto const first_free = std::stable_partition(
      again.begin(), again.end(), [this](NodeId folder) { return flights_.Has(folder); });
  base::MutexLock lock(mu_);
  base::ReaderLock table_lock(table_mu_);
  std::move(again.begin(), first_free, std::back_inserter(refresh_->again));
  for (auto folder = first_free; folder != again.end(); ++folder) {
    if (!table_.IsAttached(*folder) || !table_.IsListed(*folder)) continue;
    if (stale_.IsRunning(*folder)) {
      refresh_->again.push_back(*folder);
    } else {
      refresh_->ready.push_back(*folder);
    }
  }
}

std::optional<ScanRequest> Catalog::Impl::NextToRefresh() {
  base::MutexLock lock(mu_);
  if (!refresh_ || refresh_->failure) return std::nullopt;
  if (compared_.size() >= kComparedPerThread * options_.scan_threads) return std::nullopt;
  base::ReaderLock table_lock(table_mu_);
  NodeId const folder = TakeToRefresh();
  if (folder == kNoNode) return std::nullopt;
  std::string const path = table_.Path(folder);
  return ScanRequest{.path = path,
                     .done = OnCompared(folder, path, Purpose::kRefresh, refresh_->serial)};
}

NodeId Catalog::Impl::TakeToRefresh() {
  RefreshRun& run = *refresh_;
  while (!run.ready.empty() || run.cursor < run.end) {
    NodeId folder;
    if (!run.ready.empty()) {
      folder = run.ready.front();
      run.ready.pop_front();
    } else {
      folder = table_.FolderNode(run.cursor++);
    }
    if (!table_.IsAttached(folder)) continue;
    if (!table_.IsListed(folder) || stale_.IsRunning(folder)) {
      run.again.push_back(folder);
      continue;
    }
    stale_.Begin(folder);
    return folder;
  }
  return kNoNode;
}

void Catalog::Impl::NoteRefreshed(const Comparison& comparison) {
  base::MutexLock lock(mu_);
  if (!refresh_ || refresh_->serial != comparison.refresh_serial) return;
  ++refresh_->compared;
  auto const note = [&](uint64_t errors, const std::string& error) REQUIRES(mu_) {
    if (refresh_->errors == 0 && errors > 0) refresh_->error = error;
    refresh_->errors += errors;
  };
  if (comparison.scanned) {
    note(comparison.scanned->errors,
         (comparison.path.empty() ? "" : comparison.path + ": ") + comparison.scanned->error);
    return;
  }
  base::Error const& error = comparison.scanned.error();
  if (comparison.folder == kRootNode) {
    refresh_->failure = error;
    return;
  }
  // Its parent's listing, made in this run as well, says what became of it.
  bool const is_gone = error.code == std::errc::no_such_file_or_directory ||
                       error.code == std::errc::not_a_directory;
  if (!is_gone) note(1, error.message);
}

void Catalog::Impl::NoteScanErrors(uint64_t errors, const std::string& error) {
  base::MutexLock lock(mu_);
  if (!refresh_ || errors == 0) return;
  if (refresh_->errors == 0) refresh_->error = error;
  refresh_->errors += errors;
}

bool Catalog::Impl::IsRefreshed() {
  {
    base::MutexLock lock(mu_);
    if (!refresh_ || refresh_->cursor < refresh_->end || !refresh_->ready.empty() ||
        !refresh_->again.empty()) {
      return false;
    }
  }
  // What was asked has been answered, new folders are scanned, and all was applied.
  if (!scan_.IsBackgroundDone() || !flights_.IsIdle()) return false;
  base::MutexLock lock(mu_);
  return compared_.empty();
}

bool Catalog::Impl::IsOriginSilent() {
  base::MutexLock lock(mu_);
  uint64_t const steps = scan_.StepCount();
  if (loading_ || steps != steps_seen_) {
    steps_seen_ = steps;
    last_step_ = clock_.Now();
  }
  return clock_.Now() - last_step_ >= options_.listing_deadline;
}

void Catalog::Impl::ReportRefresh() {
  uint64_t change_count = 0;
  ChangeTally tally;
  {
    base::ReaderLock lock(table_mu_);
    change_count = table_.ChangeCount();
    tally = table_.Tally();
  }
  bool is_summed_up = false;
  {
    base::MutexLock lock(mu_);
    is_summed_up = summary_change_count_ == change_count;
  }
  if (!is_summed_up) SumUp();
  RefreshReport report;
  std::vector<RefreshDone> waiters;
  {
    base::MutexLock lock(mu_);
    report = {.added = tally.added - refresh_->before.added,
              .changed = tally.changed - refresh_->before.changed,
              .removed = tally.removed - refresh_->before.removed,
              .errors = refresh_->errors,
              .error = std::move(refresh_->error),
              .summary = *summary_};
    waiters = std::move(refresh_->waiters);
    refresh_.reset();
    woken_ = true;  // for the next run, and for keeping the catalog
  }
  for (RefreshDone& done : waiters) done(report);
}

void Catalog::Impl::FailRefreshes(const base::Error& error) {
  std::vector<RefreshDone> waiters;
  {
    base::MutexLock lock(mu_);
    if (refresh_) waiters = std::move(refresh_->waiters);
    refresh_.reset();
    std::move(refresh_queued_.begin(), refresh_queued_.end(), std::back_inserter(waiters));
    refresh_queued_.clear();
  }
  for (RefreshDone& done : waiters) done(tl::unexpected<base::Error>(error));
}

}  // namespace stokefs::cache
