// Compaction: small files and those with much that is dead become full ones. Its reads give way to
// readers'; its thread has no idle priority, because it takes the lock that readers need, and on
// busy CPUs would hold it for as long as it is not let run.
#include <algorithm>
#include <string_view>
#include <utility>

#include "cache/digest.h"
#include "cache/disk_tier_impl.h"

namespace stokefs::cache {
namespace {

constexpr std::chrono::seconds kPeriod(2);
// Files that are worth joining even where that frees little.
constexpr size_t kManyFiles = 8;
constexpr uint64_t kGainShare = 4;  // else it has to free a quarter of what they take
constexpr uint64_t kGainShareWhenShort = 32;
constexpr uint64_t kMarginShare = 16;  // of the budget: room that is kept while something is dead
constexpr uint64_t kDeadShare = 16;    // of a file: less is not worth its being written again

}  // namespace

void DiskTier::Impl::RunCompactor() {
  for (;;) {
    {
      base::MutexLock lock(mu_);
      if (!stopping_) work_or_stop_.WaitFor(mu_, kPeriod);
      if (stopping_) return;
      // Woken for writers' work: not now.
      if (collector_.SealedCount() > 0) continue;
    }
    // The directories' own threads may all be held by their disks.
    if (loading_.load(std::memory_order_relaxed)) EndLoad();
    if (loading_.load(std::memory_order_relaxed)) continue;
    base::TimePoint const now = clock_.Now();
    if (now < next_compaction_) continue;
    SweepIfChanged();
    std::vector<Victim> const victims = ChooseVictims();
    if (!victims.empty()) Compact(victims);
    // At once again while there is work, yet never without a breath.
    next_compaction_ =
        clock_.Now() + (victims.empty() ? base::Duration(kPeriod) : std::chrono::milliseconds(50));
  }
}

// What the dataset no longer has is dead. A version that changed without another version of the set
// (new bytes of the same size) dies when the new one is written.
void DiskTier::Impl::SweepIfChanged() {
  if (options_.wanted == nullptr) return;
  uint64_t const version = options_.wanted->Version();
  if (version == 0 || version == swept_version_) return;
  {
    base::MutexLock lock(mu_);
    index_.ForgetMarks();
  }
  options_.wanted->Visit([this](BlockKey key) {
    std::optional<Located> const located = LocateBlock(key);
    if (!located) return;
    base::MutexLock lock(mu_);
    index_.Mark(located->name);
  });
  // A set that changed under way was not visited as a whole.
  if (options_.wanted->Version() != version) return;
  std::vector<Doomed> doomed;
  uint64_t count = 0;
  {
    base::MutexLock lock(mu_);
    count = index_.Sweep();
    DoomEmpty(doomed);
  }
  swept_version_ = version;
  statistics_.evicted.Add(count);
  Remove(doomed);
}

// The files with the fewest live bytes, as many as make one new file; none if that gains too
// little.
std::vector<DiskTier::Impl::Victim> DiskTier::Impl::ChooseVictims() {
  struct Candidate {
    DiskFileNumber number;
    uint64_t live_bytes;
  };
  base::MutexLock lock(mu_);
  std::vector<Candidate> candidates;
  // While there is room, dead blocks cost nothing; without it they keep others out.
  uint64_t const margin_bytes = std::max(2 * bundle_bytes_, options_.budget_bytes / kMarginShare);
  bool is_short = used_bytes_ + reserve_bytes_ + margin_bytes > options_.budget_bytes;
  for (Directory const& directory : directories_) {
    is_short = is_short || directory.state == DirectoryState::kFull;
  }
  for (DiskFileNumber const number : index_.Files()) {
    DiskFileUse const& use = index_.Use(number);
    uint64_t const allocated_bytes = use.file.allocated_bytes;
    bool const is_dead_enough = is_short && use.live_blocks < use.blocks &&
                                use.live_bytes + allocated_bytes / kDeadShare <= allocated_bytes;
    bool const is_small = is_dead_enough || (use.live_bytes < bundle_bytes_ / 2 &&
                                             use.live_blocks < options_.layout.chunk_samples / 2);
    bool const is_reachable = directories_[use.file.directory].state == DirectoryState::kHealthy;
    if (is_small && is_reachable) candidates.push_back({number, use.live_bytes});
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.live_bytes < b.live_bytes; });
  std::vector<Victim> victims;
  uint64_t live_bytes = 0, allocated_bytes = 0;
  uint32_t live_blocks = 0;
  for (Candidate const& candidate : candidates) {
    DiskFileUse const& use = index_.Use(candidate.number);
    bool const is_enough = live_bytes + use.live_bytes > bundle_bytes_ ||
                           live_blocks + use.live_blocks > options_.layout.chunk_samples;
    if (is_enough) break;
    live_bytes += use.live_bytes;
    live_blocks += use.live_blocks;
    allocated_bytes += use.file.allocated_bytes;
    victims.push_back({use.file, directories_[use.file.directory].files});
  }
  if (victims.empty()) return {};
  uint64_t const new_bytes =
      ChunkDirectory::AllocatedBytes(live_bytes + HeadBytes(live_blocks) + kChunkAlignment);
  uint64_t const share = is_short ? kGainShareWhenShort : kGainShare;
  bool const gains = new_bytes + allocated_bytes / share < allocated_bytes;
  if (!gains && victims.size() < kManyFiles) return {};
  return victims;
}

void DiskTier::Impl::Compact(const std::vector<Victim>& victims) {
  DiskBundle bundle;
  for (Victim const& victim : victims) {
    AddLiveBlocks(victim, bundle);
    base::MutexLock lock(mu_);
    if (stopping_) return;
  }
  if (bundle.entries.empty()) return;
  std::optional<uint32_t> best;
  {
    base::MutexLock lock(mu_);
    best = BestDirectory();
  }
  if (best) Write(bundle, {.directory = *best, .kind = WriteKind::kCompacted});
}

void DiskTier::Impl::AddLiveBlocks(const Victim& victim, DiskBundle& bundle) {
  auto const bytes = ReadWhole(*victim.files, victim.file.id);
  if (!bytes) {
    // One that only did not answer now may do so next time.
    bool const is_late = bytes.error().code == std::errc::timed_out ||
                         bytes.error().code == std::errc::operation_canceled ||
                         bytes.error().code == std::errc::resource_unavailable_try_again;
    if (!is_late) PutAside(victim.file.directory, victim.file.id, bytes.error());
    return;
  }
  auto const head =
      ParseChunkHead(std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
  for (ChunkEntry const& entry : head->entries) {
    BlockName const name{NameOf(entry.sample, entry.extent), entry.tag};
    {
      base::MutexLock lock(mu_);
      auto const place = index_.Find(name);
      bool const is_live = place && index_.Is(place->number, victim.file.directory, victim.file.id);
      if (!is_live) continue;
    }
    auto const block = std::span(*bytes).subspan(entry.offset, entry.size_bytes);
    if (DigestOf(block) != entry.digest) {
      PutAside(victim.file.directory, victim.file.id, {std::errc{EBADMSG}, "digest"});
      return;
    }
    // Two versions of one block have no room in one file: the other waits for its turn.
    bool const is_twin =
        std::any_of(bundle.entries.begin(), bundle.entries.end(), [&](const ChunkEntry& other) {
          return other.sample == entry.sample && other.extent == entry.extent;
        });
    if (is_twin) continue;
    bundle.starts.push_back(bundle.bytes.size());
    bundle.entries.push_back(entry);
    bundle.bytes.insert(bundle.bytes.end(), block.begin(), block.end());
  }
}

}  // namespace stokefs::cache
