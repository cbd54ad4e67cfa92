// Writing bundles, each by the thread of the directory that it goes to, and keeping room there.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "cache/disk_tier_impl.h"

namespace stokefs::cache {
namespace {

constexpr std::chrono::milliseconds kPeriod(200);
constexpr std::chrono::seconds kFloorPeriod(1);

bool IsFullError(const base::Error& error) {
  return error.Errno() == ENOSPC || error.Errno() == EDQUOT;
}

// A file image, aligned for direct I/O.
class Image {
 public:
  explicit Image(uint64_t size_bytes)
      : size_bytes_(size_bytes),
        bytes_(static_cast<std::byte*>(std::aligned_alloc(kChunkAlignment, size_bytes))) {
    STOKEFS_CHECK(bytes_ != nullptr);
  }
  ~Image() { std::free(bytes_); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  std::span<std::byte> bytes() { return {bytes_, size_bytes_}; }

 private:
  const uint64_t size_bytes_;
  std::byte* const bytes_;
};

void Fill(const ChunkHead& head, const DiskBundle& bundle, std::span<std::byte> into) {
  std::string const start = EncodeChunkHead(head);
  std::memcpy(into.data(), start.data(), start.size());
  uint64_t end = start.size();
  // The head's entries are sorted, the bundle's are not.
  std::vector<size_t> order(bundle.entries.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    ChunkEntry const &x = bundle.entries[a], &y = bundle.entries[b];
    return std::tie(x.sample, x.extent) < std::tie(y.sample, y.extent);
  });
  for (size_t i = 0; i < order.size(); ++i) {
    ChunkEntry const& entry = head.entries[i];
    std::memset(into.data() + end, 0, entry.offset - end);
    std::memcpy(into.data() + entry.offset, bundle.BytesOf(order[i]).data(), entry.size_bytes);
    end = entry.offset + entry.size_bytes;
  }
  std::memset(into.data() + end, 0, into.size() - end);
}

}  // namespace

void DiskTier::Impl::RunDirectory(uint32_t number) {
  OpenDirectory(number);
  Load(number);
  base::TimePoint next_floor{};
  while (WaitForWork(number)) {
    base::TimePoint const now = clock_.Now();
    if (loading_.load(std::memory_order_relaxed)) EndLoad();
    bool is_open = false, is_retry_due = false;
    {
      base::MutexLock lock(mu_);
      Directory& directory = directories_[number];
      is_open = directory.files != nullptr;
      is_retry_due = directory.state != DirectoryState::kHealthy && now >= directory.retry_at;
    }
    if (is_retry_due) {
      if (!is_open) OpenDirectory(number);
      // The folder may have been deleted; if it cannot be made, the next write says so.
      (void)storage_.MakeFolders(options_.folders[number]);
      // The next write tells whether it was right.
      base::MutexLock lock(mu_);
      if (directories_[number].files != nullptr) {
        directories_[number].state = DirectoryState::kHealthy;
      }
    }
    if (is_open && now >= next_floor) {
      KeepFloor(number);
      next_floor = now + kFloorPeriod;
    }
    WriteNext(number);
  }
  // The end: what was collected is written, by whoever comes first.
  AddDeferred();
  collector_.Seal(base::TimePoint::max());
  while (collector_.SealedCount() > 0 && MayWriteAtEnd(number)) WriteNext(number);
}

// What a directory out of service would drop is left to the others.
bool DiskTier::Impl::MayWriteAtEnd(uint32_t number) const {
  base::MutexLock lock(mu_);
  return directories_[number].state == DirectoryState::kHealthy || !AnyHealthy();
}

// False: stop.
bool DiskTier::Impl::WaitForWork(uint32_t number) {
  collector_.Seal(clock_.Now() - options_.flush_after);
  if (is_deferring_.load(std::memory_order_relaxed)) AddDeferred();
  base::MutexLock lock(mu_);
  auto const has_work = [&]() REQUIRES(mu_) {
    return !loading_.load(std::memory_order_relaxed) && collector_.SealedCount() > 0 &&
           (BestDirectory() == number || !AnyHealthy());
  };
  if (!stopping_ && !has_work()) work_or_stop_.WaitFor(mu_, kPeriod);
  return !stopping_;
}

bool DiskTier::Impl::AnyHealthy() const {
  return std::any_of(directories_.begin(), directories_.end(), [](const Directory& directory) {
    return directory.state == DirectoryState::kHealthy;
  });
}

// The directory that the next bundle goes to: of those that are not writing, the one that will have
// read back its share first.
std::optional<uint32_t> DiskTier::Impl::BestDirectory() const {
  double fastest = 0;
  for (Directory const& directory : directories_) {
    fastest = std::max(fastest, directory.bytes_per_second);
  }
  std::optional<uint32_t> best;
  double best_cost = 0;
  for (uint32_t i = 0; i < directories_.size(); ++i) {
    Directory const& directory = directories_[i];
    bool const is_ready = directory.state == DirectoryState::kHealthy &&
                          directory.files != nullptr && !directory.writing;
    if (!is_ready) continue;
    // In whole powers of two, so that the noise of measuring makes no equals unequal. Not measured
    // yet: as fast as the fastest.
    double const times_slower =
        directory.bytes_per_second > 0
            ? std::exp2(std::round(std::log2(fastest / directory.bytes_per_second)))
            : 1;
    double const cost = static_cast<double>(directory.used_bytes) * times_slower;
    if (best && cost >= best_cost) continue;
    best = i;
    best_cost = cost;
  }
  return best;
}

void DiskTier::Impl::WriteNext(uint32_t number) {
  std::unique_ptr<DiskBundle> bundle;
  bool is_hopeless = false;
  {
    base::MutexLock lock(mu_);
    // What is here is not counted yet while it is loaded.
    if (loading_.load(std::memory_order_relaxed) && !stopping_) return;
    is_hopeless = !AnyHealthy() || loading_.load(std::memory_order_relaxed);
    if (!is_hopeless && !stopping_ && BestDirectory() != number) return;
    bundle = collector_.TakeSealed();
    if (bundle == nullptr) return;
    directories_[number].writing = true;
  }
  Outcome const outcome = is_hopeless
                              ? Outcome::kDropped
                              : Write(*bundle, {.directory = number, .kind = WriteKind::kFetched});
  if (outcome == Outcome::kDropped) statistics_.skipped.Add(bundle->entries.size());
  bool give_back = outcome == Outcome::kElsewhere;
  {
    base::MutexLock lock(mu_);
    directories_[number].writing = false;
    if (give_back && (stopping_ || !AnyHealthy())) {
      statistics_.skipped.Add(bundle->entries.size());
      give_back = false;
    }
  }
  if (give_back) {
    collector_.GiveBack(std::move(bundle));
  } else {
    collector_.Finish(std::move(bundle));
  }
  AddDeferred();
  base::MutexLock lock(mu_);
  work_or_stop_.SignalAll();
  changed_.SignalAll();
}

// Whether the budget has room for `bytes` more. Only what is pinned sends others away.
bool DiskTier::Impl::CanFit(const DiskBundle& bundle, WriteOrder order, uint64_t bytes,
                            std::vector<Doomed>& doomed) {
  uint64_t const budget_bytes =
      options_.budget_bytes - (order.kind == WriteKind::kCompacted ? 0 : reserve_bytes_);
  bool is_pinned = false;
  for (ChunkEntry const& entry : bundle.entries) {
    is_pinned = is_pinned || IsPinned(NameOf(entry.sample, entry.extent));
  }
  if (used_bytes_ + bytes <= budget_bytes) return true;
  if (!is_pinned || bytes > budget_bytes) return false;
  // Nobody goes unless that is enough.
  std::vector<DiskFileNumber> victims;
  uint64_t freed_bytes = 0;
  for (DiskFileNumber const file : index_.Files()) {
    if (used_bytes_ + bytes <= budget_bytes + freed_bytes) break;
    if (index_.Use(file).pinned_blocks > 0) continue;
    freed_bytes += index_.Use(file).file.allocated_bytes;
    victims.push_back(file);
  }
  if (used_bytes_ + bytes > budget_bytes + freed_bytes) return false;
  for (DiskFileNumber const file : victims) Doom(file, doomed);
  return true;
}

uint64_t DiskTier::Impl::FloorBytes(const base::StorageSpace& space) const {
  return std::min(options_.free_floor_bytes, space.total_bytes / 20);
}

DiskTier::Impl::Outcome DiskTier::Impl::Write(const DiskBundle& bundle, WriteOrder order) {
  ChunkHead head{.dataset = options_.dataset, .layout = layout_tag_, .entries = bundle.entries};
  if (auto placed = PlacePayload(head); !placed) return Outcome::kDropped;
  head.id = CommonPrefix(head.entries.front().sample, head.entries.back().sample);
  uint64_t const bytes = ChunkDirectory::AllocatedBytes(head.file_bytes);
  std::shared_ptr<ChunkDirectory> files;
  std::vector<Doomed> doomed;
  {
    base::MutexLock lock(mu_);
    Directory const& directory = directories_[order.directory];
    files = directory.files;
    bool const is_ready = directory.state == DirectoryState::kHealthy && files != nullptr;
    if (!is_ready) return Outcome::kElsewhere;
    if (!CanFit(bundle, order, bytes, doomed)) return Outcome::kDropped;
  }
  Remove(doomed);
  doomed.clear();
  auto const space = files->Space();
  if (space && space->free_bytes < FloorBytes(*space) + bytes) {
    SetState(order.directory, DirectoryState::kFull, "its file system has no more room");
    return Outcome::kElsewhere;
  }
  {
    base::MutexLock lock(mu_);
    if (used_bytes_ + bytes > options_.budget_bytes) return Outcome::kDropped;
    used_bytes_ += bytes;
    directories_[order.directory].used_bytes += bytes;
  }
  Image image(head.file_bytes);
  Fill(head, bundle, image.bytes());
  base::TimePoint const started = clock_.Now();
  auto const written = files->Write(image.bytes());
  base::TimePoint const now = clock_.Now();
  {
    base::MutexLock lock(mu_);
    Directory& directory = directories_[order.directory];
    uint64_t const taken_bytes = written ? written->allocated_bytes : 0;
    used_bytes_ += taken_bytes - bytes;
    directory.used_bytes += taken_bytes - bytes;
    if (written) {
      double const seconds = std::max(1e-6, std::chrono::duration<double>(now - started).count());
      double const speed = static_cast<double>(bytes) / seconds;
      double& average = directory.bytes_per_second;
      average = average == 0 ? speed : 0.9 * average + 0.1 * speed;
      AddWritten(head,
                 {.directory = order.directory,
                  .id = written->file,
                  .chunk = head.id,
                  .allocated_bytes = taken_bytes},
                 order.kind);
      DoomEmpty(doomed);
    }
  }
  if (!written) {
    bool const is_full = IsFullError(written.error());
    SetState(order.directory, is_full ? DirectoryState::kFull : DirectoryState::kRetired,
             written.error().message);
    return Outcome::kElsewhere;
  }
  last_progress_ns_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  if (order.kind == WriteKind::kFetched) {
    statistics_.written.Add(head.entries.size());
    statistics_.written_bytes.Add(bundle.bytes.size());
  }
  SetState(order.directory, DirectoryState::kHealthy, "");
  Remove(doomed);
  return Outcome::kDone;
}

void DiskTier::Impl::AddWritten(const ChunkHead& head, const DiskFile& file, WriteKind kind) {
  std::vector<BlockName> gone;
  if (kind == WriteKind::kCompacted) {  // what was evicted meanwhile stays so
    for (ChunkEntry const& entry : head.entries) {
      BlockName const name{NameOf(entry.sample, entry.extent), entry.tag};
      if (!index_.Find(name)) gone.push_back(name);
    }
  }
  index_.AddFile(file, head.entries,
                 kind == WriteKind::kFetched ? DiskIndex::OtherVersions::kDie
                                             : DiskIndex::OtherVersions::kStay);
  for (BlockName const& name : gone) index_.Remove(name);
  if (pins_.empty()) return;
  for (ChunkEntry const& entry : head.entries) {
    BlockName const name{NameOf(entry.sample, entry.extent), entry.tag};
    if (IsPinned(name.name)) index_.SetPinned(name, true);
  }
}

// When others fill the file system, ours make way.
void DiskTier::Impl::KeepFloor(uint32_t number) {
  std::shared_ptr<ChunkDirectory> files;
  {
    base::MutexLock lock(mu_);
    files = directories_[number].files;
  }
  auto const space = files->Space();
  if (!space) return;
  uint64_t const floor_bytes = FloorBytes(*space);
  if (space->free_bytes >= floor_bytes) return;
  uint64_t freed_bytes = 0;
  std::vector<Doomed> doomed;
  {
    base::MutexLock lock(mu_);
    for (DiskFileNumber const file : index_.Files()) {
      if (space->free_bytes + freed_bytes >= floor_bytes) break;
      DiskFileUse const& use = index_.Use(file);
      if (use.file.directory != number || use.pinned_blocks > 0) continue;
      freed_bytes += use.file.allocated_bytes;
      Doom(file, doomed);
    }
  }
  if (!doomed.empty()) {
    journal_.Warning("disk: " + files->path() + ": others need the room, " +
                     std::to_string(doomed.size()) + " chunk files evicted");
  }
  Remove(doomed);
}

}  // namespace stokefs::cache
