#include "cache/packed_origin.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "base/executor.h"
#include "cache/digest.h"

namespace stokefs::cache {
namespace {

// Reading over a gap of this much costs less than another call: at 1 GB/s 64 us.
constexpr uint64_t kGapBytesMax = 64u << 10;
// So that the blocks of one long stretch come one after the other, and not all at its end.
constexpr uint64_t kReadBytesMax = 8u << 20;

using Index = std::shared_ptr<const PackedIndex>;
using ChunkFile = PackedIndex::ChunkFile;

// One item, and what was found out about it.
struct Wanted {
  FetchItem item;
  base::TimePoint started;
  std::string path;
  SampleId sample;
  FileVersion version;
  ChunkFile file;
  ChunkEntry entry;
};

// Items on their way through the queue; answered also when the pool drops them unrun.
class Batch {
 public:
  explicit Batch(std::vector<Wanted> wanted) : wanted_(std::move(wanted)) {}
  ~Batch() {
    for (Wanted& wanted : wanted_) wanted.item.done(base::Fail(unrun_code_, "origin"));
  }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  std::vector<Wanted> Take() { return std::exchange(wanted_, {}); }
  // Only by whoever knows that it will not run.
  void Refuse(std::errc code) { unrun_code_ = code; }

 private:
  std::vector<Wanted> wanted_;
  std::errc unrun_code_ = std::errc::operation_canceled;
};

base::Error Damaged(base::Error error) {
  if (error.code == std::errc::bad_message || error.code == std::errc::no_such_file_or_directory) {
    error.code = std::errc::io_error;
  }
  return error;
}

base::Error Stale() { return {std::errc{ESTALE}, "repacked: another version"}; }

// Where `first` begins a stretch that one read is worth: the index after its last.
size_t StretchEnd(std::span<const Wanted> sorted, size_t first) {
  uint64_t const start = sorted[first].entry.offset;
  size_t end = first + 1;
  for (; end < sorted.size(); ++end) {
    ChunkEntry const &before = sorted[end - 1].entry, &next = sorted[end].entry;
    uint64_t const before_end = before.offset + before.size_bytes;
    // The same block twice begins a read of its own.
    if (next.offset < before_end || next.offset - before_end > kGapBytesMax) break;
    if (next.offset + next.size_bytes - start > kReadBytesMax) break;
  }
  return end;
}

}  // namespace

class PackedOrigin::Impl {
 public:
  Impl(Options options, std::shared_ptr<PackedDataset> dataset, OriginLocator& locator,
       const base::Clock& clock)
      : options_(std::move(options)),
        dataset_(std::move(dataset)),
        locator_(locator),
        clock_(clock),
        chunks_(options_.chunks, dataset_->folder()),
        pool_({.name = "origin",
               .threads_max = options_.threads,
               .queue_count_max = options_.queue_count_max}) {}

  void Fetch(std::vector<FetchItem> items) {
    std::vector<Wanted> wanted(items.size());
    for (size_t i = 0; i < items.size(); ++i) wanted[i].item = std::move(items[i]);
    auto const batch = std::make_shared<Batch>(std::move(wanted));
    if (pool_.TrySubmit([this, batch] { Run(batch->Take()); })) return;
    statistics_.errors.Add(items.size());
    bool const ending = stopping_.load(std::memory_order_relaxed);
    batch->Refuse(ending ? std::errc::operation_canceled
                         : std::errc::resource_unavailable_try_again);
  }

  bool Stop(std::chrono::milliseconds limit) {
    stopping_.store(true, std::memory_order_relaxed);
    return pool_.Stop(limit);
  }

  const OriginStatistics& Statistics() const { return statistics_; }

 private:
  // Whose turn has come: those that are not too late, by the file that has them. Each file's are
  // read on a thread of their own where there is one.
  void Run(std::vector<Wanted> batch) {
    Index const index = dataset_->Known();
    std::vector<Wanted> found;
    for (Wanted& wanted : batch) {
      wanted.started = clock_.Now();
      if (IsLate(wanted)) continue;
      auto const file = locator_.LocateAtOrigin(wanted.item.key.node);
      if (!file) {
        Answer(wanted, tl::unexpected(file.error()));
        continue;
      }
      wanted.path = file->path;
      wanted.sample = MakeSampleId(file->path);
      wanted.version = file->version;
      if (auto const located = FindInEditions(wanted, index); !located) {
        Answer(wanted, located);
      } else {
        found.push_back(std::move(wanted));
      }
    }
    std::sort(found.begin(), found.end(), [](const Wanted& a, const Wanted& b) {
      return a.file.checksum != b.file.checksum ? a.file.checksum < b.file.checksum
                                                : a.entry.offset < b.entry.offset;
    });
    while (!found.empty()) {
      auto const begin = std::find_if(found.begin(), found.end(), [&](const Wanted& wanted) {
        return wanted.file.checksum == found.back().file.checksum;
      });
      std::vector<Wanted> of_one_file(std::make_move_iterator(begin),
                                      std::make_move_iterator(found.end()));
      found.erase(begin, found.end());
      if (found.empty()) return ReadFile(std::move(of_one_file));
      auto const group = std::make_shared<Batch>(std::move(of_one_file));
      if (!pool_.TrySubmit([this, group] { ReadFile(group->Take()); })) ReadFile(group->Take());
    }
  }

  // Fills in `file` and `entry`: by the edition that is known, else by the newest. Also when that
  // is the same one: what was held of a damaged file is forgotten, and it may have been repaired.
  base::Status FindInEditions(Wanted& wanted, const Index& known) {
    auto const found = Find(wanted, *known);
    if (found) return found;
    auto const again = Find(wanted, *dataset_->Newest());
    return again ? again : base::Status(tl::unexpected(Damaged(again.error())));
  }

  base::Status Find(Wanted& wanted, const PackedIndex& index) {
    uint32_t const extent = wanted.item.key.index;
    bool const is_large = wanted.version.size_bytes > index.manifest().extent_bytes;
    auto const file = index.FindChunk(
        wanted.sample, extent, is_large ? PackedIndex::Kind::kLarge : PackedIndex::Kind::kSmall);
    if (!file) return tl::unexpected(file.error());
    if (!*file) return tl::unexpected(Stale());
    auto const head = chunks_.Head(**file);
    if (!head) return tl::unexpected(head.error());
    const ChunkEntry* const entry = FindEntry(**head, wanted.sample, extent);
    // Repacked with extents of another size, a version has other blocks.
    if (entry == nullptr || entry->tag != TagOf(wanted.sample, extent, wanted.version) ||
        entry->size_bytes != wanted.item.into.size()) {
      return tl::unexpected(Stale());
    }
    wanted.file = **file;
    wanted.entry = *entry;
    return {};
  }

  // All of one file, sorted by offset.
  void ReadFile(std::vector<Wanted> sorted) {
    std::erase_if(sorted, [this](Wanted& wanted) { return IsLate(wanted); });
    for (size_t first = 0, end = 0; first < sorted.size(); first = end) {
      end = StretchEnd(sorted, first);
      std::span<Wanted> const stretch = std::span(sorted).subspan(first, end - first);
      base::Status const read = Read(stretch);
      for (Wanted& wanted : stretch) {
        // One bad place of the disk is not its neighbours' failure.
        base::Status status = read || stretch.size() == 1 ? read : Read({&wanted, 1});
        if (status) status = CheckDigest(wanted);
        if (!status) status = ReadAgain(wanted);
        Answer(wanted, status ? status : tl::unexpected(Damaged(status.error())));
      }
    }
  }

  // As if nothing were known of it: it may have been repacked, or repaired, since.
  base::Status ReadAgain(Wanted& wanted) {
    chunks_.Forget(wanted.file.checksum);
    auto status = Find(wanted, *dataset_->Newest());
    if (status) status = Read({&wanted, 1});
    if (status) status = CheckDigest(wanted);
    if (!status) chunks_.Forget(wanted.file.checksum);
    return status;
  }

  base::Status Read(std::span<Wanted> stretch) {
    auto const fd = chunks_.File(stretch.front().file.checksum);
    if (!fd) return tl::unexpected(fd.error());
    std::vector<std::byte> skipped;  // what is read of gaps, one over the other
    std::vector<iovec> pieces;
    uint64_t const start = stretch.front().entry.offset;
    uint64_t at = start;
    for (Wanted const& wanted : stretch) {
      if (wanted.entry.offset > at) {
        skipped.resize(kGapBytesMax);
        pieces.push_back({skipped.data(), wanted.entry.offset - at});
      }
      pieces.push_back({wanted.item.into.data(), wanted.item.into.size()});
      at = wanted.entry.offset + wanted.entry.size_bytes;
    }
    auto const got = options_.read_at((*fd)->Get(), pieces, start);
    if (!got) return tl::unexpected(got.error());
    if (*got != at - start) return base::FailErrno(EBADMSG, "the chunk file is shorter");
    return {};
  }

  static base::Status CheckDigest(const Wanted& wanted) {
    if (DigestOf(wanted.item.into) == wanted.entry.digest) return {};
    return base::FailErrno(EBADMSG,
                           "digest of a block in " + PackedChunkName(wanted.file.checksum));
  }

  // True: it was answered so.
  bool IsLate(Wanted& wanted) {
    if (clock_.Now() < wanted.item.deadline) return false;
    Answer(wanted, base::Fail(std::errc::timed_out, "not started in time"));
    return true;
  }

  void Answer(Wanted& wanted, base::Status status) {
    if (status) {
      statistics_.reads.Add();
      statistics_.bytes.Add(wanted.item.into.size());
      statistics_.latency.Add(clock_.Now() - wanted.started);
      return std::exchange(wanted.item, {}).done({});
    }
    statistics_.errors.Add();
    if (status.error().code == std::errc{ESTALE}) {
      statistics_.stale.Add();
      locator_.OnStale(wanted.item.key.node);
    }
    std::string const context = wanted.path.empty() ? "origin" : "origin: " + wanted.path;
    std::exchange(wanted.item, {}).done(base::Wrap(std::move(status.error()), context));
  }

  const Options options_;
  const std::shared_ptr<PackedDataset> dataset_;
  OriginLocator& locator_;
  const base::Clock& clock_;
  OriginStatistics statistics_;  // counters are atomic
  PackedChunks chunks_;
  std::atomic<bool> stopping_{false};  // atomic: only chooses the errno of a refusal
  base::ThreadPool pool_;              // last: its threads use all of the above
};

PackedOrigin::PackedOrigin(Options options, std::shared_ptr<PackedDataset> dataset,
                           OriginLocator& locator, const base::Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(dataset), locator, clock)) {}

PackedOrigin::~PackedOrigin() = default;

void PackedOrigin::Fetch(std::vector<FetchItem> items) { impl_->Fetch(std::move(items)); }

bool PackedOrigin::Stop(std::chrono::milliseconds limit) { return impl_->Stop(limit); }

const OriginStatistics& PackedOrigin::Statistics() const { return impl_->Statistics(); }

}  // namespace stokefs::cache
