// The catalog's inside: a table of nodes, whoever fills it, and the keeper thread that sees to the
// order of things (load, scan, summary, keeping, comparing).
//
// Locks, in the order they may be taken: mu_, table_mu_. Those of flights_, scan_ and the journal
// are leaves, taken under none of ours. Threads: "catalog" (the keeper), "catalog-timer",
// "scan" (scan_threads). First listings are put into the table by scan threads, everything
// else by the keeper.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/sync.h"
#include "cache/capped_lines.h"
#include "cache/catalog.h"
#include "cache/folder_scan.h"
#include "cache/listing_flights.h"
#include "cache/node_table.h"

namespace stokefs::cache {

class Catalog::Impl {
 public:
  Impl(Options options, std::unique_ptr<FolderLister> lister, const OriginStat& root,
       base::Journal& journal, const base::Clock& clock);
  ~Impl();

  void Start(ChangeListener* listener);
  bool Stop(std::chrono::milliseconds limit);
  bool EnsureListed(NodeId folder, std::function<void(base::Status)> done);
  void OnStale(NodeId node);
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

  // The keeper (catalog_keeper.cc).
  void Keep();
  bool WaitForWork() EXCLUDES(mu_);
  void Complete();

  const Options options_;
  const std::unique_ptr<FolderLister> lister_;
  base::Journal& journal_;
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
  bool woken_ GUARDED_BY(mu_) = false;
  bool keeper_ended_ GUARDED_BY(mu_) = true;
  size_t cursor_ GUARDED_BY(mu_) = 0;  // folders before it are listed, in flight, or failed
  std::optional<LayoutSummary> summary_ GUARDED_BY(mu_);
  uint64_t summary_change_count_ GUARDED_BY(mu_) = 0;  // the table's, when summary_ was made

  ChangeListener* listener_ = nullptr;  // set by Start, before the threads
  std::thread keeper_;                  // of Start and Stop only
  FolderScan scan_;                     // last: its threads use the above
};

}  // namespace stokefs::cache
