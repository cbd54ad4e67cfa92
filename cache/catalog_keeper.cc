// The keeper: sees that the catalog becomes complete, is summed up, kept, and compared again.
#include <algorithm>
#include <utility>

#include "cache/catalog_impl.h"
#include "cache/layout_summary.h"

namespace stokefs::cache {

Catalog::Impl::Impl(Options options, std::unique_ptr<FolderLister> lister, const OriginStat& root,
                    base::Journal& journal, const base::Clock& clock)
    : options_(std::move(options)),
      lister_(std::move(lister)),
      journal_(journal),
      link_lines_(journal, "link leads out of the source"),
      error_lines_(journal, "scan"),
      flights_({.deadline = options_.listing_deadline}, clock),
      table_(root),
      scan_({.threads = options_.scan_threads}, *lister_,
            {.next = [this] { return NextUnlisted(); }, .on_done = [this] { Wake(); }}) {}

Catalog::Impl::~Impl() { Stop(std::chrono::hours(24)); }

void Catalog::Impl::Start(ChangeListener* listener) {
  listener_ = listener;
  flights_.Start();
  {
    base::MutexLock lock(mu_);
    keeper_ended_ = false;
  }
  keeper_ = std::thread([this] { Keep(); });
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
  flights_.End();
  bool const is_scan_ended = scan_.Stop(left());
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

void Catalog::Impl::Keep() {
  base::PrepareThread("catalog");
  scan_.Kick();
  while (WaitForWork()) {
    if (scan_.IsBackgroundDone() && flights_.IsIdle()) Complete();
  }
  base::MutexLock lock(mu_);
  keeper_ended_ = true;
  keeper_ended_signal_.SignalAll();
}

// False: stop.
bool Catalog::Impl::WaitForWork() {
  base::MutexLock lock(mu_);
  while (!woken_ && !stopping_) work_or_stop_.Wait(mu_);
  woken_ = false;
  return !stopping_;
}

void Catalog::Impl::Complete() {
  std::vector<LaidOutSample> samples;
  uint64_t change_count = 0;
  {
    base::MutexLock lock(mu_);
    base::ReaderLock table_lock(table_mu_);
    change_count = table_.ChangeCount();
    if (summary_ && summary_change_count_ == change_count) return;
  }
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

void Catalog::Impl::OnStale(NodeId) {}

CatalogProgress Catalog::Impl::Progress() const {
  CatalogProgress progress;
  {
    base::MutexLock lock(mu_);
    progress.state = summary_ ? CatalogState::kComplete : CatalogState::kScanning;
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
