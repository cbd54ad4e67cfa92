// The catalog's inside: a table of nodes, whoever fills it, and the keeper thread that sees to the
// order of things (load, scan, summary, keeping, comparing).
//
// Locks, in the order they may be taken: mu_, table_mu_. Those of flights_, scan_ and the journal
// are leaves, taken under none of ours. Threads: "catalog" (the keeper), "catalog-timer", "scan"
// (scan_threads), "rescan" (2, idle priority). First listings are put into the table by scan
// threads, everything else by the keeper.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/sync.h"
#include "cache/capped_lines.h"
#include "cache/catalog.h"
#include "cache/catalog_load.h"
#include "cache/folder_scan.h"
#include "cache/listing_flights.h"
#include "cache/node_table.h"
#include "cache/refresh.h"
#include "cache/stale_folders.h"

namespace stokefs::cache {

class Catalog::Impl {
 public:
  Impl(Options options, std::unique_ptr<FolderLister> lister, const OriginStat& root,
       base::Journal& journal, const base::Clock& clock);
  ~Impl();

  // Forks the child that reads a kept catalog, if there is one; before Start.
  void OpenKept();
  void Start(ChangeListener* listener);
  bool Stop(std::chrono::milliseconds limit);
  bool EnsureListed(NodeId folder, std::function<void(base::Status)> done);
  void OnStale(NodeId node);
  void Refresh(RefreshDone done);
  RefreshProgress Refreshing() const;
  CatalogProgress Progress() const;
  std::optional<LayoutSummary> Summary() const;

  // What is answered from memory needs no more than this.
  base::SharedMutex& table_mu() const RETURN_CAPABILITY(table_mu_) { return table_mu_; }
  const NodeTable& table() const REQUIRES_SHARED(table_mu_) { return table_; }

 private:
  // Listing (catalog_listing.cc).
  bool StartFlight(NodeId folder);
  std::optional<ScanRequest> NextUnlisted();
  void OnScanned(NodeId folder, const std::string& path, base::Result<ScannedFolder> scanned);
  void ReportScan(const std::string& path, const ScannedFolder& scanned);
  void ReportLinks(const std::string& path, const std::vector<std::string>& names);
  void Wake() EXCLUDES(mu_);

  // The catalog on disk (catalog_kept.cc).
  std::string KeptPath() const;
  void Load();
  base::Status AdoptRecord(FolderRecord record);
  void PutAside(const base::Error& why);
  void EndLoad(bool is_loaded, bool is_any_loaded);
  bool Keep(const LayoutSummary& summary, uint64_t change_count);
  base::Result<bool> WriteKept(const LayoutSummary& summary, uint64_t change_count);
  void CopyPart(NodeId folder, FolderRecord& record, std::vector<NodeId>& folders)
      REQUIRES_SHARED(table_mu_);

  // Comparing with the origin (catalog_compare.cc).
  enum class Purpose { kStale, kRescan, kRefresh };
  struct Comparison {
    NodeId folder;
    std::string path;
    Purpose purpose;
    uint64_t refresh_serial;  // of the run that asked for it
    base::Result<ScannedFolder> scanned;
  };
  void StartComparisons();
  void Compare(NodeId folder, Purpose purpose);
  std::function<void(base::Result<ScannedFolder>)> OnCompared(NodeId folder, std::string path,
                                                              Purpose purpose,
                                                              uint64_t refresh_serial);
  void ApplyComparisons();
  void Apply(Comparison& comparison);
  void ReportComparisonError(const Comparison& comparison);
  void Announce(NodeId folder, const ListingChange& change);

  // Comparing everything on request (catalog_refresh.cc).
  void AdvanceRefresh();
  void BeginRefresh() EXCLUDES(mu_);
  void SortOutAgain() EXCLUDES(mu_);
  std::optional<ScanRequest> NextToRefresh() EXCLUDES(mu_);
  NodeId TakeToRefresh() REQUIRES(mu_) REQUIRES_SHARED(table_mu_);
  void NoteRefreshed(const Comparison& comparison) EXCLUDES(mu_);
  void NoteScanErrors(uint64_t errors, const std::string& error) EXCLUDES(mu_);
  bool IsRefreshed() EXCLUDES(mu_);
  bool IsOriginSilent() EXCLUDES(mu_);
  void ReportRefresh() EXCLUDES(mu_);
  // All of them, the queued ones too.
  void FailRefreshes(const base::Error& error) EXCLUDES(mu_);

  // The keeper (catalog_keeper.cc).
  void Run();
  bool WaitForWork() EXCLUDES(mu_);
  bool IsSettled() EXCLUDES(mu_);
  void Complete();
  void SumUp();

  // Enough to keep an origin's round trips overlapped, few enough not to press it.
  static constexpr size_t kRescanThreads = 2;

  const Options options_;
  const std::unique_ptr<FolderLister> lister_;
  const CatalogSource source_;
  base::Journal& journal_;
  const base::Clock& clock_;
  CappedLines link_lines_;
  CappedLines error_lines_;
  std::atomic<bool> stopping_{false};  // atomic: looked at without a lock while scanning
  ListingFlights flights_;

  mutable base::SharedMutex table_mu_;
  NodeTable table_ GUARDED_BY(table_mu_);

  mutable base::Mutex mu_;
  base::CondVar work_or_stop_;
  base::CondVar keeper_ended_signal_;
  bool loading_ GUARDED_BY(mu_) = false;
  bool loaded_ GUARDED_BY(mu_) = false;
  bool woken_ GUARDED_BY(mu_) = false;
  bool keeper_ended_ GUARDED_BY(mu_) = true;
  size_t cursor_ GUARDED_BY(mu_) = 0;  // folders before it are listed, in flight, or failed
  std::optional<LayoutSummary> summary_ GUARDED_BY(mu_);
  // The table's count of changes when summary_ was made, and when the catalog was written.
  uint64_t summary_change_count_ GUARDED_BY(mu_) = 0;
  uint64_t kept_change_count_ GUARDED_BY(mu_) = 0;
  bool is_unsettled_ GUARDED_BY(mu_) = false;  // one of them is behind and waits for its interval
  base::TimePoint next_summary_ GUARDED_BY(mu_);
  base::TimePoint next_keep_ GUARDED_BY(mu_);
  // Folders [0, rescan_cursor_) of [0, rescan_end_) were or are being compared.
  bool rescanning_ GUARDED_BY(mu_) = false;
  size_t rescan_cursor_ GUARDED_BY(mu_) = 0;
  size_t rescan_end_ GUARDED_BY(mu_) = 0;
  size_t rescan_running_ GUARDED_BY(mu_) = 0;
  std::vector<RefreshDone> refresh_queued_ GUARDED_BY(mu_);  // for the next run
  std::optional<RefreshRun> refresh_ GUARDED_BY(mu_);        // the one that runs
  uint64_t refresh_serial_ GUARDED_BY(mu_) = 0;
  uint64_t steps_seen_ GUARDED_BY(mu_) = 0;  // of scan_, and when they last rose
  base::TimePoint last_step_ GUARDED_BY(mu_);
  StaleFolders stale_ GUARDED_BY(mu_);
  std::deque<Comparison> compared_ GUARDED_BY(mu_);  // as many as run at a time, at most

  std::unique_ptr<CatalogLoad> load_;   // set before Start; null: nothing to load
  std::string keep_failure_;            // of the keeper: told once
  ChangeListener* listener_ = nullptr;  // set by Start, before the threads
  std::thread keeper_;                  // of Start and Stop only
  FolderScan scan_;                     // these two last: their threads use the above
  base::ThreadPool rescan_pool_;
};

}  // namespace stokefs::cache
