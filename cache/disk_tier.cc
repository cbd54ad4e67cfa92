#include "cache/disk_tier.h"

#include <algorithm>
#include <utility>

#include "base/executor.h"
#include "cache/disk_tier_impl.h"

namespace stokefs::cache {
namespace {

// A bundle becomes one file; larger ones gain nothing on any disk we know, and cost memory.
constexpr uint64_t kImageBytesMax = 8u << 20;
// Bundles beside those being written and those being filled, one of each a directory: two waiting,
// and one for what is under way when no more is fetched.
constexpr size_t kSpareBundles = 3;
// How long a directory may leave all its reads unanswered before others are asked instead.
constexpr base::Duration kStallTime = std::chrono::seconds(1);
// Files put aside that are kept in each directory, for whoever wants to know.
constexpr size_t kBadFilesMax = 2;
// A budget of fewer bundles than this has nothing to spare for compaction.
constexpr uint64_t kReserveShare = 16;
// How long reads wait for the heads of the files, before they go to the origin.
constexpr base::Duration kLoadTime = std::chrono::seconds(5);

DiskCollector::Options CollectorOptions(const DiskTier::Options& options) {
  return {.bundle_bytes = std::min(options.layout.chunk_bytes, kImageBytesMax),
          .bundle_blocks = std::min(options.layout.chunk_samples, kChunkEntryCountMax),
          .bundles_max = 2 * options.folders.size() + kSpareBundles,
          .lanes = options.folders.size()};
}

}  // namespace

DiskTier::Impl::Impl(Options options, OriginLocator& locator, MemoryTier& memory,
                     base::Storage& storage, base::Journal& journal, const base::Clock& clock)
    : options_(std::move(options)),
      locator_(locator),
      memory_(memory),
      storage_(storage),
      journal_(journal),
      clock_(clock),
      layout_tag_(LayoutTag(options_.layout, options_.extent_bytes)),
      bundle_bytes_(CollectorOptions(options_).bundle_bytes),
      reserve_bytes_(options_.budget_bytes >= kReserveShare * bundle_bytes_
                         ? bundle_bytes_ + (bundle_bytes_ >> 2)
                         : 0),
      collector_(CollectorOptions(options_)) {
  for (std::string const& folder : options_.folders) {
    Directory directory;
    directory.folder = folder;
    directories_.push_back(std::move(directory));
  }
}

void DiskTier::Impl::Start() {
  load_until_ = clock_.Now() + kLoadTime;
  auto const count = static_cast<uint32_t>(options_.folders.size());
  {
    base::MutexLock lock(mu_);
    threads_alive_ = count + 1;
  }
  auto const run = [self = shared_from_this()](const std::string& name, auto work) {
    base::PrepareThread(name);
    work();
    base::MutexLock lock(self->mu_);
    --self->threads_alive_;
    self->changed_.SignalAll();
  };
  for (uint32_t i = 0; i < count; ++i) {
    threads_.emplace_back(
        [this, run, i] { run("disk-" + std::to_string(i), [this, i] { RunDirectory(i); }); });
  }
  threads_.emplace_back([this, run] { run("disk-compact", [this] { RunCompactor(); }); });
}

bool DiskTier::Impl::Stop(std::chrono::milliseconds limit) {
  auto const end = std::chrono::steady_clock::now() + limit;
  auto const left = [&] {
    return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(
                        end - std::chrono::steady_clock::now()),
                    std::chrono::milliseconds(0));
  };
  bool ended = false;
  std::vector<std::shared_ptr<ChunkDirectory>> files;
  std::vector<FetchItem> waiting;
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
    work_or_stop_.SignalAll();
    waiting.swap(waiting_);
    while (threads_alive_ > 0 && left().count() > 0) changed_.WaitFor(mu_, left());
    ended = threads_alive_ == 0;
    for (Directory const& directory : directories_) {
      if (directory.files != nullptr) files.push_back(directory.files);
    }
  }
  for (FetchItem const& item : waiting) {
    item.done(base::Fail(std::errc::operation_canceled, "disk: ending"));
  }
  for (std::thread& thread : threads_) {
    if (ended) {
      thread.join();
    } else {
      thread.detach();
    }
  }
  threads_.clear();
  for (auto const& directory : files) ended = directory->Stop(left()) && ended;
  return ended;
}

std::optional<DiskTier::Impl::Located> DiskTier::Impl::LocateBlock(BlockKey key) const {
  base::Result<OriginFile> const file = locator_.LocateAtOrigin(key.node);
  if (!file) return std::nullopt;
  SampleId const sample = MakeSampleId(file->path);
  return Located{
      .sample = sample,
      .version = file->version,
      .name = {.name = NameOf(sample, key.index), .tag = TagOf(sample, key.index, file->version)}};
}

bool DiskTier::Impl::IsStalled(const Directory& directory, base::TimePoint now) const {
  return directory.reads_under_way > 0 && now - directory.last_read_event > kStallTime;
}

bool DiskTier::Impl::Holds(BlockKey key) const {
  base::TimePoint const now = clock_.Now();
  if (loading_.load(std::memory_order_acquire) && now < load_until_) return true;
  std::optional<Located> const located = LocateBlock(key);
  if (!located) return false;
  if (collector_.Has(located->name)) return true;
  base::MutexLock lock(mu_);
  auto const place = index_.Find(located->name);
  return place && !IsStalled(directories_[index_.Use(place->number).file.directory], now);
}

std::optional<DiskTier::Place> DiskTier::Impl::Locate(BlockKey key) const {
  std::optional<Located> const located = LocateBlock(key);
  if (!located) return std::nullopt;
  base::MutexLock lock(mu_);
  auto const place = index_.Find(located->name);
  if (!place) return std::nullopt;
  DiskFile const& file = index_.Use(place->number).file;
  return Place{.file = directories_[file.directory].files->PathOf(file.id),
               .chunk = file.chunk,
               .offset = place->offset,
               .size_bytes = place->size_bytes,
               .pinned = place->pinned};
}

std::optional<uint64_t> DiskTier::Impl::OrderOnDisk(BlockKey key) const {
  std::optional<Located> const located = LocateBlock(key);
  if (!located) return std::nullopt;
  base::MutexLock lock(mu_);
  auto const place = index_.Find(located->name);
  if (!place) return std::nullopt;
  return uint64_t{place->number.value} << 32 | place->entry;
}

// Takes a file out of the index; its room is given back when it is gone.
void DiskTier::Impl::Doom(DiskFileNumber number, std::vector<Doomed>& doomed) {
  DiskFileUse const& use = index_.Use(number);
  statistics_.evicted.Add(use.live_blocks);
  doomed.push_back({use.file.directory, use.file.id, use.file.allocated_bytes});
  index_.RemoveFile(number);
}

void DiskTier::Impl::DoomEmpty(std::vector<Doomed>& doomed) {
  for (DiskFileNumber const number : index_.TakeEmptied()) Doom(number, doomed);
}

void DiskTier::Impl::Remove(const std::vector<Doomed>& files) {
  for (Doomed const& doomed : files) {
    std::shared_ptr<ChunkDirectory> directory;
    {
      base::MutexLock lock(mu_);
      directory = directories_[doomed.directory].files;
    }
    // What a broken disk will not remove goes on counting.
    if (!directory->Remove(doomed.id)) continue;
    base::MutexLock lock(mu_);
    directories_[doomed.directory].used_bytes -= doomed.allocated_bytes;
    used_bytes_ -= doomed.allocated_bytes;
  }
}

void DiskTier::Impl::SetState(uint32_t number, DirectoryState state, const std::string& reason) {
  std::string line;
  {
    base::MutexLock lock(mu_);
    Directory& directory = directories_[number];
    bool const is_new = directory.reason != reason;  // a trial in between is no news
    directory.state = state;
    directory.reason = reason;
    directory.retry_at = clock_.Now() + std::chrono::seconds(10);
    if (is_new) line = directory.folder;
  }
  if (line.empty()) return;
  switch (state) {
    case DirectoryState::kHealthy:
      return journal_.Info("disk: " + line + " takes chunks again");
    case DirectoryState::kFull:
      return journal_.Warning("disk: " + line + " is full (" + reason +
                              "): nothing is written there");
    case DirectoryState::kStalled:
      return;
    case DirectoryState::kRetired:
      return journal_.Warning("disk: " + line + " is out of service (" + reason +
                              "); it is tried again every 10 s");
  }
}

// A file that is not as it was written leaves service; its blocks come from the origin again.
void DiskTier::Impl::PutAside(uint32_t number, ChunkFileId id, const base::Error& why) {
  bool const is_gone = why.code == std::errc::no_such_file_or_directory;
  std::shared_ptr<ChunkDirectory> files;
  std::vector<Doomed> doomed;
  {
    base::MutexLock lock(mu_);
    Directory& directory = directories_[number];
    files = directory.files;
    uint64_t allocated_bytes = 0;
    bool is_known = false;
    for (DiskFileNumber const file : index_.Files()) {
      if (!index_.Is(file, number, id)) continue;
      is_known = true;
      allocated_bytes = index_.Use(file).file.allocated_bytes;
      if (!is_gone) statistics_.damaged.Add(index_.Use(file).live_blocks);
      index_.RemoveFile(file);
      break;
    }
    if (!is_known) return;  // somebody was faster
    if (is_gone) {          // somebody deleted it: no more than that
      doomed.push_back({number, id, allocated_bytes});
    } else {
      AddBad(number, id, allocated_bytes, doomed);
    }
  }
  if (is_gone) {
    journal_.Debug("disk: " + files->PathOf(id) + " was deleted");
    return Remove(doomed);
  }
  journal_.Warning("disk: " + files->PathOf(id) + " is damaged (" + why.message + "), put aside");
  if (auto renamed = files->PutAside(id); !renamed) journal_.Debug(renamed.error().message);
  Remove(doomed);
}

void DiskTier::Impl::AddBad(uint32_t number, ChunkFileId id, uint64_t allocated_bytes,
                            std::vector<Doomed>& doomed) {
  Directory& directory = directories_[number];
  directory.bad.push_back(id);
  directory.bad_bytes.push_back(allocated_bytes);
  if (directory.bad.size() <= kBadFilesMax) return;
  doomed.push_back({number, directory.bad.front(), directory.bad_bytes.front()});
  directory.bad.erase(directory.bad.begin());
  directory.bad_bytes.erase(directory.bad_bytes.begin());
}

uint64_t DiskTier::Impl::Evict(std::span<const BlockKey> keys) {
  Flush(std::chrono::seconds(5));
  uint64_t count = 0;
  std::vector<Doomed> doomed;
  for (BlockKey const key : keys) {
    std::optional<Located> const located = LocateBlock(key);
    if (!located) continue;
    base::MutexLock lock(mu_);
    if (index_.Remove(located->name)) ++count;
  }
  {
    base::MutexLock lock(mu_);
    DoomEmpty(doomed);
  }
  statistics_.evicted.Add(count);
  Remove(doomed);
  return count;
}

uint64_t DiskTier::Impl::EvictAll() {
  Flush(std::chrono::seconds(5));
  uint64_t count = 0;
  std::vector<Doomed> doomed;
  {
    base::MutexLock lock(mu_);
    for (DiskFileNumber const number : index_.Files()) {
      DiskFileUse const& use = index_.Use(number);
      if (use.pinned_blocks == 0) {
        count += use.live_blocks;
        Doom(number, doomed);
        continue;
      }
      for (auto const& live : index_.LiveBlocks(number)) {
        if (live.place.pinned) continue;
        index_.Remove(live.block);
        ++count;
      }
    }
    DoomEmpty(doomed);
    for (uint32_t i = 0; i < directories_.size(); ++i) {
      Directory& directory = directories_[i];
      for (size_t k = 0; k < directory.bad.size(); ++k) {
        doomed.push_back({i, directory.bad[k], directory.bad_bytes[k]});
      }
      directory.bad.clear();
      directory.bad_bytes.clear();
    }
  }
  Remove(doomed);
  return count;
}

std::vector<BlockName> DiskTier::Impl::NamesOf(std::span<const BlockKey> keys) const {
  std::vector<BlockName> names;
  names.reserve(keys.size());
  for (BlockKey const key : keys) {
    if (auto const located = LocateBlock(key)) names.push_back(located->name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

uint64_t DiskTier::Impl::Pin(std::span<const BlockKey> keys) {
  std::vector<BlockName> const names = NamesOf(keys);
  uint64_t count = 0;
  base::MutexLock lock(mu_);
  auto const old_count = static_cast<std::ptrdiff_t>(pins_.size());
  for (BlockName const& name : names) {
    pins_.push_back(name.name);
    if (index_.SetPinned(name, true)) ++count;
  }
  std::inplace_merge(pins_.begin(), pins_.begin() + old_count, pins_.end());
  pins_.erase(std::unique(pins_.begin(), pins_.end()), pins_.end());
  return count;
}

uint64_t DiskTier::Impl::Unpin(std::span<const BlockKey> keys) {
  std::vector<BlockName> const names = NamesOf(keys);
  uint64_t count = 0;
  base::MutexLock lock(mu_);
  for (BlockName const& name : names) {
    if (index_.SetPinned(name, false)) ++count;
  }
  std::erase_if(pins_, [&](uint64_t pin) {
    auto const at = std::lower_bound(names.begin(), names.end(), BlockName{.name = pin});
    return at != names.end() && at->name == pin;
  });
  return count;
}

bool DiskTier::Impl::IsPinned(uint64_t name) const {
  return std::binary_search(pins_.begin(), pins_.end(), name);
}

DiskUsage DiskTier::Impl::Usage() const {
  DiskUsage usage{.budget_bytes = options_.budget_bytes,
                  .pending_bytes = collector_.PendingBytes(),
                  .loading = loading_.load(std::memory_order_relaxed)};
  base::TimePoint const now = clock_.Now();
  base::MutexLock lock(mu_);
  usage.used_bytes = used_bytes_;
  usage.blocks = index_.BlockCount();
  usage.block_bytes = index_.BlockBytes();
  usage.pinned_blocks = index_.PinnedCount();
  for (Directory const& directory : directories_) {
    bool const is_stalled = IsStalled(directory, now);
    usage.directories.push_back(
        {.path = directory.folder,
         .state = is_stalled ? DirectoryState::kStalled : directory.state,
         .reason = is_stalled ? "its reads are not answered" : directory.reason,
         .reader = directory.files != nullptr ? directory.files->ReaderName() : "",
         .used_bytes = directory.used_bytes});
  }
  for (DiskFileNumber const number : index_.Files()) {
    DiskFileUse const& use = index_.Use(number);
    ++usage.directories[use.file.directory].files;
    usage.directories[use.file.directory].blocks += use.live_blocks;
  }
  return usage;
}

std::unique_ptr<DiskTier> DiskTier::Create(Options options, OriginLocator& locator,
                                           MemoryTier& memory, base::Storage& storage,
                                           base::Journal& journal, const base::Clock& clock) {
  return std::unique_ptr<DiskTier>(new DiskTier(
      std::make_shared<Impl>(std::move(options), locator, memory, storage, journal, clock)));
}

DiskTier::DiskTier(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
DiskTier::~DiskTier() = default;
void DiskTier::Start() { impl_->Start(); }
bool DiskTier::Stop(std::chrono::milliseconds limit) { return impl_->Stop(limit); }
bool DiskTier::Holds(BlockKey key) const { return impl_->Holds(key); }
void DiskTier::Fetch(std::vector<FetchItem> items) { impl_->Fetch(std::move(items)); }
void DiskTier::OnFetched(const FetchedBlock& block) { impl_->OnFetched(block); }
bool DiskTier::WantsPause() const { return impl_->WantsPause(); }
std::optional<DiskTier::Place> DiskTier::Locate(BlockKey key) const { return impl_->Locate(key); }
std::optional<uint64_t> DiskTier::OrderOnDisk(BlockKey key) const {
  return impl_->OrderOnDisk(key);
}
void DiskTier::Flush(base::Duration limit) { impl_->Flush(limit); }
uint64_t DiskTier::Evict(std::span<const BlockKey> keys) { return impl_->Evict(keys); }
uint64_t DiskTier::EvictAll() { return impl_->EvictAll(); }
uint64_t DiskTier::Pin(std::span<const BlockKey> keys) { return impl_->Pin(keys); }
uint64_t DiskTier::Unpin(std::span<const BlockKey> keys) { return impl_->Unpin(keys); }
DiskTier::VerifyReport DiskTier::Verify(const std::function<bool(const VerifyReport&)>& go_on) {
  return impl_->Verify(go_on);
}
DiskUsage DiskTier::Usage() const { return impl_->Usage(); }
const DiskStatistics& DiskTier::Statistics() const { return impl_->Statistics(); }

}  // namespace stokefs::cache
