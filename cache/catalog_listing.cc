// How folders become listed for the first time: by the background scan or because someone asks.
#include <cerrno>
#include <utility>

#include "cache/catalog_impl.h"
#include "cache/shown_listing.h"

namespace stokefs::cache {

bool Catalog::Impl::EnsureListed(NodeId folder, std::function<void(base::Status)> done) {
  std::optional<base::Status> answer;
  {
    base::ReaderLock lock(table_mu_);
    if (!table_.IsKnown(folder)) {
      answer = base::FailErrno(ENOENT, "catalog");
    } else if (!table_.IsFolder(folder)) {
      answer = base::FailErrno(ENOTDIR, "catalog");
    } else if (table_.IsListed(folder)) {
      answer.emplace();
    }
  }
  if (answer) {
    done(std::move(*answer));
    return true;
  }
  if (flights_.Join(folder, std::move(done))) return true;
  return StartFlight(folder);
}

// Sees to a flight that nobody may have started. True when the folder turned out to be listed.
bool Catalog::Impl::StartFlight(NodeId folder) {
  std::string path;
  bool is_listed = false;
  {
    base::ReaderLock lock(table_mu_);
    is_listed = table_.IsListed(folder);
    path = table_.Path(folder);
  }
  // It may have been listed between the first look and joining; then nobody else lands it.
  if (is_listed) {
    flights_.Land(folder, {});
    return true;
  }
  {
    base::MutexLock lock(mu_);
    if (loading_) return false;  // the load lands it, or its end starts it
  }
  if (!flights_.TryStart(folder)) return false;
  auto done = [this, folder, path](base::Result<ScannedFolder> scanned) {
    OnScanned(folder, path, std::move(scanned));
  };
  if (scan_.Submit({.path = path, .done = std::move(done)})) return false;
  flights_.Land(folder, base::FailErrno(ETIMEDOUT, "too many listings are waiting"));
  return true;
}

std::optional<ScanRequest> Catalog::Impl::NextUnlisted() {
  for (;;) {
    NodeId folder;
    std::string path;
    {
      base::MutexLock lock(mu_);
      base::ReaderLock table_lock(table_mu_);
      for (; cursor_ < table_.FolderCount(); ++cursor_) {
        folder = table_.FolderNode(cursor_);
        if (table_.IsAttached(folder) && !table_.IsListed(folder)) break;
      }
      if (cursor_ == table_.FolderCount()) return std::nullopt;
      ++cursor_;
      path = table_.Path(folder);
    }
    if (!flights_.Claim(folder)) continue;
    return ScanRequest{.path = path,
                       .done = [this, folder, path](base::Result<ScannedFolder> scanned) {
                         OnScanned(folder, path, std::move(scanned));
                       }};
  }
}

void Catalog::Impl::OnScanned(NodeId folder, const std::string& path,
                              base::Result<ScannedFolder> scanned) {
  if (!scanned) {
    if (scanned.error().code != std::errc::operation_canceled) {
      error_lines_.Add(scanned.error().message);
      NoteScanErrors(1, scanned.error().message);
    }
    flights_.Land(folder, tl::unexpected<base::Error>(std::move(scanned.error())));
    Wake();
    return;
  }
  ListingNotes const notes = ShowListing(path, options_.source_paths, scanned->listing);
  bool is_attached = false;
  {
    base::WriterLock lock(table_mu_);
    is_attached = table_.IsAttached(folder);
    if (is_attached && !table_.IsListed(folder)) table_.Update(folder, scanned->listing);
  }
  ReportScan(path, *scanned);
  ReportLinks(path, notes.leaving_links);
  if (notes.control_name_hidden) {
    journal_.Warning("source has a " + std::string(kControlName) + " of its own: hidden");
  }
  scan_.Kick();
  flights_.Land(folder, is_attached ? base::Status() : base::FailErrno(ENOENT, "folder removed"));
  Wake();
}

void Catalog::Impl::ReportScan(const std::string& path, const ScannedFolder& scanned) {
  NoteScanErrors(scanned.errors, (path.empty() ? "" : path + "/: ") + scanned.error);
  for (uint64_t i = 0; i < scanned.errors; ++i) {
    error_lines_.Add((path.empty() ? "" : path + "/: ") +
                     (i == 0 ? scanned.error : std::string("and another entry of this folder")));
  }
}

void Catalog::Impl::ReportLinks(const std::string& path, const std::vector<std::string>& names) {
  for (std::string const& name : names) {
    link_lines_.Add((path.empty() ? "" : path + "/") + name);
  }
}

void Catalog::Impl::Wake() {
  base::MutexLock lock(mu_);
  woken_ = true;
  work_or_stop_.Signal();
}

}  // namespace stokefs::cache
