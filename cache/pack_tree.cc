#include "cache/pack_tree.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "base/sync.h"
#include "cache/folder_scan.h"
#include "cache/shown_listing.h"

namespace stokefs::cache {
namespace {

// A folder scan that is told of each folder that it finds, until there is none left.
class TreeScan {
 public:
  TreeScan(FolderLister& lister, const ScanTreeOptions& options)
      : source_paths_(options.source_paths),
        scan_({.threads = options.threads}, lister,
              {.next = [this] { return Next(); }, .on_done = [this] { End(); }}) {
    unlisted_.push_back("");
  }

  base::Result<PackTree> Run() {
    scan_.Kick();
    base::MutexLock lock(mu_);
    while (!is_done_) done_signal_.Wait(mu_);
    if (error_count_ > 0) {
      return base::Fail(first_code_, "cannot be listed: " + NameFirst(errors_, error_count_));
    }
    std::sort(tree_.folders.begin(), tree_.folders.end(),
              [](const PackFolder& a, const PackFolder& b) { return a.path < b.path; });
    return std::move(tree_);
  }

 private:
  std::optional<ScanRequest> Next() EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    if (unlisted_.empty()) return std::nullopt;
    std::string path = std::move(unlisted_.front());
    unlisted_.pop_front();
    return ScanRequest{.path = path, .done = [this, path](base::Result<ScannedFolder> scanned) {
                         Add(path, std::move(scanned));
                       }};
  }

  void Add(const std::string& path, base::Result<ScannedFolder> scanned) EXCLUDES(mu_) {
    std::string const name = path.empty() ? "the source" : path;
    if (!scanned) return AddError(name, scanned.error());
    if (scanned->errors > 0) {
      return AddError(name, {std::errc::io_error, scanned->error});
    }
    ShowListing(path, source_paths_, scanned->listing);
    {
      base::MutexLock lock(mu_);
      FolderListing& listing = scanned->listing;
      for (size_t i = 0; i < listing.Count(); ++i) {
        if (listing.Stat(i).type != FileType::kFolder) continue;
        unlisted_.push_back((path.empty() ? "" : path + "/") + std::string(listing.Name(i)));
      }
      tree_.folders.push_back({.path = path, .listing = std::move(listing)});
    }
    scan_.Kick();
  }

  void AddError(const std::string& name, const base::Error& error) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    if (error_count_++ == 0) first_code_ = error.code;
    if (errors_.size() < kNamedMax) errors_.push_back(name + " (" + error.message + ")");
  }

  void End() EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    is_done_ = true;
    done_signal_.Signal();
  }

  const std::vector<std::string> source_paths_;

  base::Mutex mu_;
  base::CondVar done_signal_;
  bool is_done_ GUARDED_BY(mu_) = false;
  std::deque<std::string> unlisted_ GUARDED_BY(mu_);
  PackTree tree_ GUARDED_BY(mu_);
  std::vector<std::string> errors_ GUARDED_BY(mu_);
  uint64_t error_count_ GUARDED_BY(mu_) = 0;
  std::errc first_code_ GUARDED_BY(mu_){};

  FolderScan scan_;  // last: its threads use the above
};

}  // namespace

std::string NameFirst(const std::vector<std::string>& lines, uint64_t count) {
  std::string text;
  for (size_t i = 0; i < lines.size() && i < kNamedMax; ++i) {
    text += (i == 0 ? "" : "; ") + lines[i];
  }
  if (count > std::min(lines.size(), kNamedMax)) {
    text += " and " + std::to_string(count - std::min(lines.size(), kNamedMax)) + " more";
  }
  return text;
}

base::Result<PackTree> ScanTree(FolderLister& lister, const ScanTreeOptions& options) {
  return TreeScan(lister, options).Run();
}

}  // namespace stokefs::cache
