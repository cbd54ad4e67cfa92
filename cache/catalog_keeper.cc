// The keeper: sees that the catalog becomes complete, is summed up, kept, and compared again.
#include <algorithm>
#include <utility>

#include "cache/catalog_impl.h"
#include "cache/layout_summary.h"

namespace stokefs::cache {
namespace {

std::string IdentityOf(const Catalog::Options& options) {
  if (!options.identity.empty() || options.source_paths.empty()) return options.identity;
  return options.source_paths.front();
}

// A dataset that keeps changing is summed up (0.3 s for a million files) and written (100 MB)
// no more often than this.
constexpr std::chrono::seconds kSummaryIntervalMin(1);
constexpr std::chrono::seconds kKeepIntervalMin(60);
// How late work whose time has come may be noticed.
constexpr std::chrono::milliseconds kRetryPeriod(50);

base::Error Ending() { return {std::errc::operation_canceled, "the mount is ending"}; }

}  // namespace

Catalog::Impl::Impl(Options options, std::unique_ptr<FolderLister> lister, const OriginStat& root,
                    base::Journal& journal, const base::Clock& clock)
    : options_(std::move(options)),
      lister_(std::move(lister)),
      source_({.path = IdentityOf(options_),
               .root_inode = root.inode,
               .layout = options_.layout,
               .extent_bytes = options_.extent_bytes}),
      journal_(journal),
      clock_(clock),
      link_lines_(journal, "link leads out of the source"),
      error_lines_(journal, "scan"),
      flights_({.deadline = options_.listing_deadline}, clock),
      table_(root),
      scan_({.threads = options_.scan_threads}, *lister_,
            {.next =
                 [this] {
                   auto request = NextUnlisted();
                   return request ? std::move(request) : NextToRefresh();
                 },
             .on_done = [this] { Wake(); }}),
      rescan_pool_({.name = "rescan", .threads_max = kRescanThreads, .idle_priority = true}) {}

Catalog::Impl::~Impl() {
  Stop(std::chrono::hours(24));
  FailRefreshes(Ending());
}

void Catalog::Impl::Start(ChangeListener* listener) {
  listener_ = listener;
  flights_.Start();
  {
    base::MutexLock lock(mu_);
    keeper_ended_ = false;
  }
  keeper_ = std::thread([this] { Run(); });
}

bool Catalog::Impl::Stop(std::chrono::milliseconds limit) {
  auto const end = std::chrono::steady_clock::now() + limit;
  auto const left = [&] {
    return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(
                        end - std::chrono::steady_clock::now()),
                    std::chrono::milliseconds(0));
  };
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
    work_or_stop_.Signal();
  }
  if (load_ != nullptr) load_->Kill();
  std::shared_ptr<CatalogLoad> verifying;
  {
    base::MutexLock lock(mu_);
    verifying = verifying_;
  }
  if (verifying != nullptr) verifying->Kill();
  flights_.End();
  bool is_scan_ended = scan_.Stop(left());
  is_scan_ended = rescan_pool_.Stop(left()) && is_scan_ended;
  bool is_keeper_ended = false;
  {
    base::MutexLock lock(mu_);
    while (!keeper_ended_ && left().count() > 0) keeper_ended_signal_.WaitFor(mu_, left());
    is_keeper_ended = keeper_ended_;
  }
  if (keeper_.joinable()) {
    if (is_keeper_ended) {
      keeper_.join();
    } else {
      keeper_.detach();
    }
  }
  return is_scan_ended && is_keeper_ended;
}

void Catalog::Impl::Run() {
  base::PrepareThread("catalog");
  Load();
  scan_.Kick();
  StartComparisons();
  while (WaitForWork()) {
    ApplyComparisons();
    StartComparisons();
    AdvanceRefresh();
    if (IsSettled()) Complete();
  }
  FailRefreshes(Ending());
  base::MutexLock lock(mu_);
  keeper_ended_ = true;
  keeper_ended_signal_.SignalAll();
}

// False: stop.
bool Catalog::Impl::WaitForWork() {
  base::MutexLock lock(mu_);
  while (!woken_ && !stopping_) {
    bool const is_later =
        stale_.AnyWanted() || is_unsettled_ || refresh_ || !refresh_queued_.empty();
    if (!is_later) {
      work_or_stop_.Wait(mu_);
    } else if (!work_or_stop_.WaitFor(mu_, kRetryPeriod)) {
      break;
    }
  }
  woken_ = false;
  return !stopping_;
}

// Nothing is on its way that would change the table soon.
bool Catalog::Impl::IsSettled() {
  if (!scan_.IsBackgroundDone() || !flights_.IsIdle()) return false;
  base::MutexLock lock(mu_);
  return !rescanning_ && stale_.RunningCount() == 0;
}

// Sums up and writes what changed, each now or when its interval has passed.
void Catalog::Impl::Complete() {
  uint64_t change_count = 0;
  {
    base::ReaderLock lock(table_mu_);
    change_count = table_.ChangeCount();
  }
  auto const is_summed_up = [&]() REQUIRES(mu_) {
    return summary_ && summary_change_count_ == change_count;
  };
  bool is_due = false;
  {
    base::MutexLock lock(mu_);
    is_due = !is_summed_up() && clock_.Now() >= next_summary_;
  }
  if (is_due) SumUp();
  LayoutSummary summary;
  {
    base::MutexLock lock(mu_);
    if (is_due) next_summary_ = clock_.Now() + kSummaryIntervalMin;
    is_due = is_summed_up() && kept_change_count_ != change_count && clock_.Now() >= next_keep_;
    if (is_due) summary = *summary_;
  }
  bool const is_written = is_due && Keep(summary, change_count);
  base::MutexLock lock(mu_);
  if (is_written) {
    kept_change_count_ = change_count;
    next_keep_ = clock_.Now() + kKeepIntervalMin;
  }
  is_unsettled_ = !is_summed_up() || kept_change_count_ != change_count;
}

void Catalog::Impl::SumUp() {
  std::vector<LaidOutSample> samples;
  uint64_t change_count = 0;
  {
    base::ReaderLock lock(table_mu_);
    change_count = table_.ChangeCount();
    samples = CollectSamples(table_);
  }
  LayoutSummary summary =
      SummarizeLayout(std::move(samples), options_.layout, options_.extent_bytes);
  base::MutexLock lock(mu_);
  summary_ = std::move(summary);
  summary_change_count_ = change_count;
}

CatalogProgress Catalog::Impl::Progress() const {
  CatalogProgress progress;
  {
    base::MutexLock lock(mu_);
    progress.state = loading_   ? CatalogState::kLoading
                     : summary_ ? CatalogState::kComplete
                                : CatalogState::kScanning;
    progress.loaded = loaded_;
    progress.rescanning = rescanning_;
  }
  progress.scan_errors = error_lines_.Count();
  base::ReaderLock lock(table_mu_);
  TableCounts const& counts = table_.Counts();
  progress.folder_count = counts.folders;
  progress.folders_listed = counts.folders_listed;
  progress.sample_count = counts.samples;
  progress.sample_bytes = counts.sample_bytes;
  return progress;
}

std::optional<LayoutSummary> Catalog::Impl::Summary() const {
  base::MutexLock lock(mu_);
  return summary_;
}

}  // namespace stokefs::cache
