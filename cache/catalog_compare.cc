// Comparing folders with the origin: all of them once after a load, at idle priority, and single
// ones when a read found them stale. Only the keeper changes what is listed.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "cache/catalog_impl.h"
#include "cache/shown_listing.h"

namespace stokefs::cache {
namespace {

// Comparisons asked for at a time; they share the pool with listings that someone waits for.
constexpr size_t kStaleRunningMax = 4;

}  // namespace

void Catalog::Impl::OnStale(NodeId node) {
  NodeId folder;
  {
    base::ReaderLock lock(table_mu_);
    if (!table_.IsKnown(node)) return;
    folder = table_.Parent(node);
    // Not when its name means something newer already.
    if (node != kRootNode && table_.Find(folder, table_.Name(node)) != node) return;
  }
  base::MutexLock lock(mu_);
  stale_.Add(folder);
  woken_ = true;
  work_or_stop_.Signal();
}

void Catalog::Impl::StartComparisons() {
  std::vector<NodeId> on_demand, idle;
  {
    base::MutexLock lock(mu_);
    if (loading_) return;
    while (stale_.RunningCount() < kStaleRunningMax) {
      auto const folder = stale_.TakeDue(clock_.Now());
      if (!folder) break;
      on_demand.push_back(*folder);
    }
    base::ReaderLock table_lock(table_mu_);
    while (rescan_running_ < kRescanThreads && rescan_cursor_ < rescan_end_) {
      NodeId const folder = table_.FolderNode(rescan_cursor_++);
      if (!table_.IsAttached(folder) || !table_.IsListed(folder)) continue;
      if (!stale_.Begin(folder)) continue;
      ++rescan_running_;
      idle.push_back(folder);
    }
    if (rescan_running_ == 0 && rescan_cursor_ >= rescan_end_) rescanning_ = false;
  }
  for (NodeId folder : on_demand) Compare(folder, Purpose::kStale);
  for (NodeId folder : idle) Compare(folder, Purpose::kRescan);
}

void Catalog::Impl::Compare(NodeId folder, Purpose purpose) {
  std::string path;
  {
    base::ReaderLock lock(table_mu_);
    path = table_.Path(folder);
  }
  auto done = OnCompared(folder, path, purpose, 0);
  bool is_submitted = false;
  if (purpose == Purpose::kStale) {
    is_submitted = scan_.Submit({.path = path, .done = done});
  } else {
    is_submitted =
        rescan_pool_.TrySubmit([this, path, done] { done(ScanFolder(*lister_, path, stopping_)); });
  }
  if (!is_submitted) done(base::FailErrno(ECANCELED, "queue is full"));
}

std::function<void(base::Result<ScannedFolder>)> Catalog::Impl::OnCompared(
    NodeId folder, std::string path, Purpose purpose, uint64_t refresh_serial) {
  return [this, folder, path = std::move(path), purpose,
          refresh_serial](base::Result<ScannedFolder> scanned) {
    base::MutexLock lock(mu_);
    compared_.push_back({.folder = folder,
                         .path = path,
                         .purpose = purpose,
                         .refresh_serial = refresh_serial,
                         .scanned = std::move(scanned)});
    woken_ = true;
    work_or_stop_.Signal();
  };
}

void Catalog::Impl::ApplyComparisons() {
  std::deque<Comparison> compared;
  {
    base::MutexLock lock(mu_);
    compared.swap(compared_);
  }
  for (Comparison& comparison : compared) {
    if (stopping_) return;
    Apply(comparison);
    if (comparison.purpose == Purpose::kRefresh) NoteRefreshed(comparison);
    base::MutexLock lock(mu_);
    stale_.Done(comparison.folder, clock_.Now());
    if (comparison.purpose == Purpose::kRescan) --rescan_running_;
  }
}

void Catalog::Impl::Apply(Comparison& comparison) {
  NodeId const folder = comparison.folder;
  if (!comparison.scanned) return ReportComparisonError(comparison);
  FolderListing& listing = comparison.scanned->listing;
  ListingNotes const notes = ShowListing(comparison.path, options_.source_paths, listing);
  {
    base::ReaderLock lock(table_mu_);
    if (!table_.IsAttached(folder) || !table_.IsListed(folder)) return;
    // What the origin would not tell of now stays as it was.
    for (std::string const& name : comparison.scanned->failed) {
      NodeId const known = table_.Find(folder, name);
      if (known == kNoNode) continue;
      listing.Add(name, table_.Stat(known), table_.Target(known));
    }
    if (!comparison.scanned->failed.empty()) listing.Sort();
    if (!table_.Differs(folder, listing)) return;
  }
  ListingChange change;
  {
    base::WriterLock lock(table_mu_);
    change = table_.Update(folder, listing);
  }
  std::vector<std::string> new_links;
  for (std::string const& name : notes.leaving_links) {
    if (std::find(change.names.begin(), change.names.end(), name) != change.names.end()) {
      new_links.push_back(name);
    }
  }
  ReportLinks(comparison.path, new_links);
  Announce(folder, change);
  scan_.Kick();  // new folders
}

void Catalog::Impl::ReportComparisonError(const Comparison& comparison) {
  base::Error const& error = comparison.scanned.error();
  if (error.code == std::errc::operation_canceled) return;
  bool const is_gone = error.code == std::errc::no_such_file_or_directory ||
                       error.code == std::errc::not_a_directory;
  if (!is_gone || comparison.folder == kRootNode) {
    error_lines_.Add(error.message);
    return;
  }
  OnStale(comparison.folder);  // its parent's listing says what became of it
}

void Catalog::Impl::Announce(NodeId folder, const ListingChange& change) {
  if (listener_ != nullptr) {
    for (std::string_view name : change.names) listener_->OnNameChanged(folder, name);
    listener_->OnFolderChanged(folder);
    for (NodeId child : change.folders_modified) listener_->OnFolderChanged(child);
  }
  base::MutexLock lock(mu_);
  base::ReaderLock table_lock(table_mu_);
  // A rescan or a refresh comes to these anyway.
  for (NodeId child : change.folders_modified) {
    if (!rescanning_ && !refresh_ && table_.IsListed(child)) stale_.Add(child);
  }
}

}  // namespace stokefs::cache
