// Reading blocks: from the collector, or from the chunk files, digest checked.
#include <condition_variable>
#include <cstring>
#include <utility>

#include "cache/digest.h"
#include "cache/disk_tier_impl.h"

namespace stokefs::cache {
namespace {

// A whole file of a disk that answers takes milliseconds; this is one that does not.
constexpr std::chrono::seconds kWholeFileTime{10};

// What an answer that comes too late may still write to.
struct Awaited {
  base::Mutex mu;
  base::CondVar answered;
  bool is_answered GUARDED_BY(mu) = false;
  base::Status status GUARDED_BY(mu);
  std::vector<std::byte> bytes;
};

}  // namespace

struct DiskTier::Impl::ReadOfBlock {
  uint32_t directory;
  ChunkFileId file;
  BlockName name;
  uint64_t digest;
  base::TimePoint started;
  FetchItem item;
};

void DiskTier::Impl::Fetch(std::vector<FetchItem> items) {
  if (loading_.load(std::memory_order_acquire)) {
    base::MutexLock lock(mu_);
    if (loading_.load(std::memory_order_relaxed) && !stopping_ && clock_.Now() < load_until_) {
      for (FetchItem& item : items) waiting_.push_back(std::move(item));
      return;
    }
  }
  FetchNow(std::move(items));
}

void DiskTier::Impl::FetchNow(std::vector<FetchItem> items) {
  base::TimePoint const now = clock_.Now();
  std::vector<std::vector<ChunkRead>> reads(options_.folders.size());
  std::vector<std::shared_ptr<ChunkDirectory>> files(reads.size());
  for (FetchItem& item : items) {
    std::optional<Located> const located = LocateBlock(item.key);
    if (located && collector_.Read(located->name, item.into)) {
      item.done({});
      continue;
    }
    ReadOfBlock read{.started = now};
    bool is_here = false;
    if (located) {
      base::MutexLock lock(mu_);
      auto const place = index_.Find(located->name);
      is_here = place && place->size_bytes == item.into.size() &&
                !IsStalled(directories_[index_.Use(place->number).file.directory], now);
      if (is_here) {
        DiskFile const& file = index_.Use(place->number).file;
        read.directory = file.directory;
        read.file = file.id;
        read.name = located->name;
        read.digest = place->digest;
        Directory& directory = directories_[file.directory];
        files[file.directory] = directory.files;
        if (directory.reads_under_way++ == 0) directory.last_read_event = now;
        reads[file.directory].push_back({.file = file.id,
                                         .offset = place->offset,
                                         .into = item.into,
                                         .priority = item.priority == FetchPriority::kDemand
                                                         ? base::ReadPriority::kDemand
                                                         : base::ReadPriority::kBackground});
      }
    }
    if (!is_here) {
      item.done(base::Fail(std::errc::no_such_file_or_directory, "disk: not here"));
      continue;
    }
    auto const shared = std::make_shared<ReadOfBlock>(std::move(read));
    shared->item = std::move(item);
    reads[shared->directory].back().done = [self = shared_from_this(),
                                            shared](base::Status status) {
      self->OnRead(*shared, std::move(status));
    };
  }
  for (size_t i = 0; i < reads.size(); ++i) {
    if (!reads[i].empty()) files[i]->Read(std::move(reads[i]));
  }
}

void DiskTier::Impl::OnRead(const ReadOfBlock& read, base::Status status) {
  base::TimePoint const now = clock_.Now();
  {
    base::MutexLock lock(mu_);
    Directory& directory = directories_[read.directory];
    --directory.reads_under_way;
    directory.last_read_event = now;
  }
  if (status && DigestOf(read.item.into) != read.digest) {
    status = base::FailErrno(EBADMSG, "disk: digest");
  }
  if (status) {
    statistics_.reads.Add();
    statistics_.bytes.Add(read.item.into.size());
    statistics_.latency.Add(now - read.started);
    if (read.item.digest != nullptr) *read.item.digest = read.digest;
    read.item.done({});
    return;
  }
  base::Error error = std::move(status.error());
  bool const is_refusal = error.code == std::errc::resource_unavailable_try_again ||
                          error.code == std::errc::operation_canceled;
  if (!is_refusal) {
    statistics_.errors.Add();
    PutAside(read.directory, read.file, error);
  }
  // Whatever the disk's errno, the block is at the next source.
  if (error.code == std::errc::no_such_file_or_directory) error.code = std::errc{EIO};
  read.item.done(base::Wrap(std::move(error), "disk"));
}

base::Status DiskTier::Impl::ReadWaiting(ChunkDirectory& files, ChunkFileId id, uint64_t offset,
                                         std::span<std::byte> into) {
  auto const awaited = std::make_shared<Awaited>();
  awaited->bytes.resize(into.size());
  std::vector<ChunkRead> reads;
  reads.push_back({.file = id,
                   .offset = offset,
                   .into = awaited->bytes,
                   .done =
                       [awaited](base::Status status) {
                         base::MutexLock lock(awaited->mu);
                         awaited->is_answered = true;
                         awaited->status = std::move(status);
                         awaited->answered.SignalAll();
                       },
                   .priority = base::ReadPriority::kBackground});
  files.Read(std::move(reads));
  auto const end = std::chrono::steady_clock::now() + kWholeFileTime;
  base::MutexLock lock(awaited->mu);
  while (!awaited->is_answered) {
    auto const left = end - std::chrono::steady_clock::now();
    if (left <= base::Duration()) return base::Fail(std::errc::timed_out, "disk");
    awaited->answered.WaitFor(awaited->mu, left);
  }
  if (awaited->status) std::memcpy(into.data(), awaited->bytes.data(), into.size());
  return awaited->status;
}

// A whole chunk file, head included; at most what a writer of ours makes.
base::Result<std::vector<std::byte>> DiskTier::Impl::ReadWhole(ChunkDirectory& files,
                                                               ChunkFileId id) {
  std::vector<std::byte> start(kChunkAlignment);
  if (auto status = ReadWaiting(files, id, 0, start); !status) {
    return tl::unexpected<base::Error>(status.error());
  }
  auto const text = [](const std::vector<std::byte>& bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  auto const head_bytes = HeadBytesOf(text(start));
  if (!head_bytes) return tl::unexpected<base::Error>(head_bytes.error());
  std::vector<std::byte> bytes((*head_bytes + kChunkAlignment - 1) / kChunkAlignment *
                               kChunkAlignment);
  if (auto status = ReadWaiting(files, id, 0, bytes); !status) {
    return tl::unexpected<base::Error>(status.error());
  }
  auto const head = ParseChunkHead(text(bytes));
  if (!head) return tl::unexpected<base::Error>(head.error());
  uint64_t const payload_at = bytes.size();
  bytes.resize(head->file_bytes);
  if (auto status = ReadWaiting(files, id, payload_at, std::span(bytes).subspan(payload_at));
      !status) {
    return tl::unexpected<base::Error>(status.error());
  }
  return bytes;
}

DiskTier::VerifyReport DiskTier::Impl::Verify(
    const std::function<bool(const VerifyReport&)>& go_on) {
  Flush(std::chrono::seconds(5));
  struct Wanted {
    DiskFile file;
    std::shared_ptr<ChunkDirectory> files;
  };
  std::vector<Wanted> wanted;
  {
    base::MutexLock lock(mu_);
    for (DiskFileNumber const number : index_.Files()) {
      DiskFile const& file = index_.Use(number).file;
      wanted.push_back({file, directories_[file.directory].files});
    }
  }
  VerifyReport report{.files_total = wanted.size()};
  for (Wanted const& one : wanted) {
    auto const bytes = ReadWhole(*one.files, one.file.id);
    base::Error wrong = bytes ? base::Error{} : bytes.error();
    bool const is_gone = !bytes && bytes.error().code == std::errc::no_such_file_or_directory;
    if (bytes) {
      auto const head = ParseChunkHead(
          std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
      for (ChunkEntry const& entry : head->entries) {
        ++report.blocks;
        report.bytes += entry.size_bytes;
        if (DigestOf(std::span(*bytes).subspan(entry.offset, entry.size_bytes)) == entry.digest) {
          continue;
        }
        ++report.damaged_blocks;
        wrong = {std::errc{EBADMSG}, "digest"};
      }
    }
    bool const is_late =
        !bytes && (bytes.error().code == std::errc::timed_out ||
                   bytes.error().code == std::errc::operation_canceled ||
                   bytes.error().code == std::errc::resource_unavailable_try_again);
    if (wrong.code != std::errc{} && !is_late) {
      bool is_here = false;
      {
        base::MutexLock lock(mu_);
        for (DiskFileNumber const number : index_.Files()) {
          is_here = is_here || index_.Is(number, one.file.directory, one.file.id);
        }
      }
      // One that is gone because it was evicted or compacted meanwhile is not damaged.
      if (is_here || !is_gone) ++report.damaged_files;
      PutAside(one.file.directory, one.file.id, wrong);
    }
    ++report.files;
    if (!go_on(report)) break;
  }
  return report;
}

}  // namespace stokefs::cache
