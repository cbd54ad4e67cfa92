// The catalog on disk: loaded at the start, written anew whenever it is complete and changed.
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/file.h"
#include "cache/catalog_impl.h"
#include "cache/catalog_store.h"
#include "cache/layout_summary.h"
#include "cache/shown_listing.h"

namespace stokefs::cache {
namespace {

// The child tells twice a second that it is at work, unless the disk takes longer for one record.
constexpr std::chrono::seconds kLoadSilenceMax(30);

// Address space of a catalog being written: a node takes about 80 bytes, a folder's record its path
// and the rest of a page; only a tree of nothing but deep folders could need more.
uint64_t MapBytes(size_t node_count) { return (uint64_t{1} << 30) + uint64_t{node_count} * 4096; }

// Puts the parts of each folder together.
class FolderAssembler {
 public:
  // The whole folder when `record` was its last part; EBADMSG when parts are out of order.
  base::Result<std::optional<FolderRecord>> Add(FolderRecord record) {
    if (record.part != next_part_ || (next_part_ > 0 && record.path != whole_.path)) {
      return base::FailErrno(EBADMSG, "parts of a folder");
    }
    bool const is_last = record.is_last;
    if (next_part_ == 0) {
      whole_ = std::move(record);
    } else {
      FolderListing const& part = record.listing;
      for (size_t i = 0; i < part.Count(); ++i) {
        whole_.listing.Add(part.Name(i), part.Stat(i), part.Target(i));
      }
    }
    ++next_part_;
    if (!is_last) return std::optional<FolderRecord>();
    next_part_ = 0;
    whole_.listing.Sort();  // is sorted, when parts are as written
    return std::optional<FolderRecord>(std::move(whole_));
  }

 private:
  FolderRecord whole_;
  uint32_t next_part_ = 0;
};

}  // namespace

void Catalog::Impl::OpenKept() {
  if (options_.folder.empty()) return;
  if (auto made = base::MakeFolders(options_.folder); !made) {
    journal_.Warning("catalog is not kept: " + made.error().message);
    return;
  }
  struct stat st {};
  if (stat(KeptPath().c_str(), &st) != 0) return;
  auto load = CatalogLoad::Fork(KeptPath(), source_);
  if (!load) {
    journal_.Warning("kept catalog is not read: " + load.error().message);
    return;
  }
  load_ = std::move(*load);
  base::MutexLock lock(mu_);
  loading_ = true;
}

void Catalog::Impl::Load() {
  if (load_ == nullptr) return;
  FolderAssembler assembler;
  bool is_any_loaded = false;
  auto read = load_->Read(kLoadSilenceMax, [&](FolderRecord record) -> base::Status {
    auto whole = assembler.Add(std::move(record));
    if (!whole) return tl::unexpected<base::Error>(std::move(whole.error()));
    if (!*whole) return {};
    is_any_loaded = true;
    return AdoptRecord(std::move(**whole));
  });
  load_->Kill();  // and reap
  if (stopping_) return;
  base::Status loaded;
  if (!read) {
    loaded = tl::unexpected<base::Error>(std::move(read.error()));
  } else if (SumUp(); Summary()->digest != read->digest) {
    loaded = base::FailErrno(EBADMSG, "digest of the samples");
  }
  if (!loaded) PutAside(loaded.error());
  EndLoad(loaded.has_value(), is_any_loaded);
}

base::Status Catalog::Impl::AdoptRecord(FolderRecord record) {
  NodeId folder;
  {
    base::ReaderLock lock(table_mu_);
    folder = table_.FindPath(record.path);
    if (folder == kNoNode || !table_.IsFolder(folder) || table_.IsListed(folder)) {
      return base::FailErrno(EBADMSG, "folder without parent");
    }
    record.listing.self = table_.Stat(folder);
  }
  ListingNotes const notes = ShowListing(record.path, options_.source_paths, record.listing);
  {
    base::WriterLock lock(table_mu_);
    table_.Update(folder, record.listing);
  }
  ReportLinks(record.path, notes.leaving_links);
  flights_.Land(folder, {});
  return {};
}

void Catalog::Impl::PutAside(const base::Error& why) {
  if (why.Errno() == ESTALE) {
    journal_.Info("kept catalog is not used, " + why.message + ": scanning");
    return;
  }
  std::string const aside = KeptPath() + ".damaged";
  rename(KeptPath().c_str(), aside.c_str());
  journal_.Warning("kept catalog is damaged (" + why.message + "), put aside and made anew");
}

void Catalog::Impl::EndLoad(bool is_loaded, bool is_any_loaded) {
  {
    base::MutexLock lock(mu_);
    base::ReaderLock table_lock(table_mu_);
    loading_ = false;
    loaded_ = is_loaded;
    if (!is_loaded) summary_.reset();
    if (is_loaded) kept_change_count_ = summary_change_count_;
    // What was loaded of a catalog that then broke is compared too.
    rescanning_ = is_any_loaded && (options_.rescan || !is_loaded);
    rescan_end_ = rescanning_ ? table_.FolderCount() : 0;
    if (is_loaded && !options_.rescan) cursor_ = table_.FolderCount();
  }
  for (NodeId folder : flights_.Waiting()) StartFlight(folder);
}

// False: the table changed meanwhile, nothing was written, come again. A failure is told and true:
// the next change tries again.
bool Catalog::Impl::Keep(const LayoutSummary& summary, uint64_t change_count) {
  if (options_.folder.empty()) return true;
  auto const written = WriteKept(summary, change_count);
  std::string const failure = written ? "" : written.error().message;
  if (!failure.empty() && failure != keep_failure_) {
    journal_.Warning("catalog is not kept: " + failure);
  }
  keep_failure_ = failure;
  return !written || *written;
}

base::Result<bool> Catalog::Impl::WriteKept(const LayoutSummary& summary, uint64_t change_count) {
  size_t node_count = 0;
  {
    base::ReaderLock lock(table_mu_);
    node_count = table_.NodeCount();
  }
  auto writer = CatalogWriter::Create(KeptPath(), MapBytes(node_count));
  if (!writer) return tl::unexpected<base::Error>(std::move(writer.error()));
  std::vector<NodeId> left{kRootNode};
  while (!left.empty()) {
    NodeId const folder = left.back();
    left.pop_back();
    FolderRecord record;
    for (record.is_last = false; !record.is_last; ++record.part) {
      {
        base::ReaderLock lock(table_mu_);
        if (stopping_ || table_.ChangeCount() != change_count) return false;
        if (!table_.IsListed(folder)) break;
        CopyPart(folder, record, left);
      }
      auto added = (*writer)->Add(EncodeFolderRecord(record));
      if (!added) return tl::unexpected<base::Error>(std::move(added.error()));
    }
  }
  {
    base::ReaderLock lock(table_mu_);
    if (table_.ChangeCount() != change_count) return false;
  }
  auto finished = (*writer)->Finish({.source = source_, .digest = summary.digest});
  if (!finished) return tl::unexpected<base::Error>(std::move(finished.error()));
  return true;
}

// Fills part `record.part` of a folder's record; its child folders go to `folders`.
void Catalog::Impl::CopyPart(NodeId folder, FolderRecord& record, std::vector<NodeId>& folders) {
  auto const& children = table_.Children(folder);
  size_t const first = size_t{record.part} * kRecordEntryCountMax;
  size_t const end = std::min(children.size(), first + kRecordEntryCountMax);
  record.path = table_.Path(folder);
  record.is_last = end == children.size();
  record.listing = FolderListing();
  for (size_t i = first; i < end; ++i) {
    NodeId const child{children[i]};
    record.listing.Add(table_.Name(child), table_.Stat(child), table_.Target(child));
    if (table_.IsFolder(child)) folders.push_back(child);
  }
}

base::Result<Catalog::KeptReport> Catalog::Impl::VerifyKept() {
  struct stat before {};
  if (options_.folder.empty() || stat(KeptPath().c_str(), &before) != 0) return KeptReport{};
  auto forked = CatalogLoad::Fork(KeptPath(), source_, CatalogLoadPurpose::kVerify);
  if (!forked) return tl::unexpected<base::Error>(std::move(forked.error()));
  std::shared_ptr<CatalogLoad> const load = std::move(*forked);
  {
    base::MutexLock lock(mu_);
    if (stopping_) return base::Fail(std::errc::operation_canceled, "the mount is ending");
    verifying_ = load;
  }
  auto const read = load->Read(kLoadSilenceMax, [](FolderRecord) { return base::Status(); });
  load->Kill();  // and reap
  {
    base::MutexLock lock(mu_);
    verifying_.reset();
  }
  if (read) return KeptReport{.state = KeptState::kSound, .damage = {}};
  base::Error const& error = read.error();
  for (std::errc const other : {std::errc::operation_canceled, std::errc::timed_out}) {
    if (error.code == other) return tl::unexpected<base::Error>(error);
  }
  struct stat after {};
  bool const is_there = stat(KeptPath().c_str(), &after) == 0;
  // It was written anew meanwhile, or is another mount's: not the one that was looked at.
  if (!is_there || after.st_ino != before.st_ino || error.Errno() == ESTALE) return KeptReport{};
  PutAside(error);
  base::MutexLock lock(mu_);
  kept_change_count_ = ~uint64_t{0};
  next_keep_ = clock_.Now();
  woken_ = true;
  work_or_stop_.Signal();
  return KeptReport{.state = KeptState::kDamaged, .damage = error.message};
}

std::string Catalog::Impl::KeptPath() const { return options_.folder + "/catalog"; }

}  // namespace stokefs::cache
