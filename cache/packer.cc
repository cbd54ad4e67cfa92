#include "cache/packer.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/executor.h"
#include "base/sync.h"
#include "cache/byte_codec.h"
#include "cache/digest.h"
#include "cache/directory_lister.h"
#include "cache/pack_output.h"
#include "cache/pack_plan.h"
#include "cache/pack_tree.h"
#include "cache/packed_index_writer.h"

namespace stokefs::cache {
namespace {

// How often a source that changes under the pack is listed and read again.
constexpr int kPassesMax = 4;
constexpr std::chrono::milliseconds kProgressPeriod(200);
// A thread keeps a buffer of this size; larger ones are given back.
constexpr size_t kBufferBytesKept = 16u << 20;

// Room for chunk files in memory. One that is larger than the whole waits until it is alone.
class ByteBudget {
 public:
  explicit ByteBudget(uint64_t bytes) : bytes_(bytes) {}

  void Take(uint64_t bytes) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    while (taken_ > 0 && taken_ + bytes > bytes_) given_back_.Wait(mu_);
    taken_ += bytes;
  }
  void GiveBack(uint64_t bytes) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    taken_ -= bytes;
    given_back_.SignalAll();
  }

 private:
  const uint64_t bytes_;
  base::Mutex mu_;
  base::CondVar given_back_;
  uint64_t taken_ GUARDED_BY(mu_) = 0;
};

// What went wrong in one pass.
class Troubles {
 public:
  void AddChanged(const std::string& path) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    Name(changed_, path);
    ++changed_count_;
  }
  void AddUnreadable(const std::string& path, const base::Error& error) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    if (unreadable_count_++ == 0) first_code_ = error.code;
    Name(unreadable_, path + " (" + error.message + ")");
  }
  void AddFatal(base::Error error) EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    if (!fatal_) fatal_ = std::move(error);
  }
  // Nothing that is packed from now on is of any use.
  bool IsHopeless() const EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    return fatal_ || unreadable_count_ >= kNamedMax;
  }
  base::Status Status() const EXCLUDES(mu_) {
    base::MutexLock lock(mu_);
    if (fatal_) return tl::unexpected<base::Error>(*fatal_);
    if (unreadable_count_ > 0) {
      return base::Fail(first_code_,
                        "cannot be read: " + NameFirst(unreadable_, unreadable_count_));
    }
    if (changed_count_ == 0) return {};
    return base::Fail(std::errc{ESTALE},
                      "changed while it was read: " + NameFirst(changed_, changed_count_));
  }

 private:
  static void Name(std::vector<std::string>& into, std::string line) {
    if (into.size() < kNamedMax) into.push_back(std::move(line));
  }

  mutable base::Mutex mu_;
  std::vector<std::string> changed_ GUARDED_BY(mu_);
  uint64_t changed_count_ GUARDED_BY(mu_) = 0;
  std::vector<std::string> unreadable_ GUARDED_BY(mu_);
  uint64_t unreadable_count_ GUARDED_BY(mu_) = 0;
  std::errc first_code_ GUARDED_BY(mu_){};
  std::optional<base::Error> fatal_ GUARDED_BY(mu_);
};

// Over all passes.
struct Counters {
  std::atomic<uint64_t> written_files{0};  // atomics: summed by several threads
  std::atomic<uint64_t> written_bytes{0};
};

// Packs the files of one plan.
class Pass {
 public:
  Pass(const PackOptions& options, int source, PackOutput& output, const PackPlan& plan,
       Counters& counters)
      : options_(options),
        source_(source),
        output_(output),
        plan_(plan),
        counters_(counters),
        budget_(options.memory_bytes),
        rows_(plan.files().size()) {}

  base::Status Run() {
    size_t const count = std::min(options_.threads, std::max<size_t>(1, plan_.files().size()));
    {
      base::MutexLock lock(mu_);
      running_ = count;
    }
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; ++i) threads.emplace_back([this] { Work(); });
    AwaitEnd();
    for (std::thread& thread : threads) thread.join();
    return troubles_.Status();
  }

  // Of the index, in the order of the plan's files.
  std::vector<PackedRow> TakeRows() { return std::move(rows_); }

 private:
  void AwaitEnd() EXCLUDES(mu_) {
    for (;;) {
      {
        base::MutexLock lock(mu_);
        if (running_ > 0) ended_.WaitFor(mu_, kProgressPeriod);
        if (running_ == 0) break;
      }
      Tell();
    }
    Tell();
  }

  void Tell() const {
    if (!options_.on_progress) return;
    options_.on_progress({.step = PackProgress::Step::kPacking,
                          .files_done = files_done_,
                          .files = plan_.files().size(),
                          .bytes_done = bytes_done_,
                          .bytes = plan_.SampleBytes()});
  }

  void Work() {
    base::PrepareThread("pack");
    AlignedBuffer buffer;
    for (;;) {
      size_t const next = next_.fetch_add(1);
      if (next >= plan_.files().size() || troubles_.IsHopeless()) break;
      PlannedFile const& file = plan_.files()[next];
      ChunkHead head = plan_.HeadOf(file);
      uint64_t const bytes = head.file_bytes;
      budget_.Take(bytes);
      bool const is_packed = PackFile(file, head, buffer);
      buffer.Trim(kBufferBytesKept);
      budget_.GiveBack(bytes);
      if (is_packed) Add(next, head);
    }
    base::MutexLock lock(mu_);
    if (--running_ == 0) ended_.Signal();
  }

  // False: it could not be, and `troubles_` knows why.
  bool PackFile(const PlannedFile& file, ChunkHead& head, AlignedBuffer& buffer) {
    if (auto whole = output_.FindWhole(head, buffer)) {
      head = std::move(*whole);
      return true;
    }
    std::span<std::byte> const image = buffer.Get(head.file_bytes);
    if (!ReadBlocks(file, head, image)) return false;
    std::string const head_bytes = EncodeChunkHead(head);
    std::memcpy(image.data(), head_bytes.data(), head_bytes.size());
    auto const written = output_.WriteChunk(ChecksumOf(head_bytes), MembersOf(head), image);
    if (!written) {
      troubles_.AddFatal(written.error());
      return false;
    }
    ++counters_.written_files;
    counters_.written_bytes += head.file_bytes;
    return true;
  }

  // Fills the payload and the digests; what is no block is zero.
  bool ReadBlocks(const PlannedFile& file, ChunkHead& head, std::span<std::byte> image) {
    bool is_all_read = true;
    uint64_t at = HeadBytes(static_cast<uint32_t>(head.entries.size()));
    for (ChunkEntry const& entry : head.entries) {
      std::memset(image.data() + at, 0, entry.offset - at);
      at = entry.offset + entry.size_bytes;
    }
    std::memset(image.data() + at, 0, image.size() - at);
    bool const is_run = file.extent_count > 0;
    size_t const files = is_run ? 1 : head.entries.size();
    for (size_t i = 0; i < files && !(troubles_.IsHopeless()); ++i) {
      std::span<ChunkEntry> const blocks =
          is_run ? std::span(head.entries) : std::span(head.entries).subspan(i, 1);
      OriginFile const origin = plan_.Source(file, i);
      auto const read = ReadFile(origin, blocks, image);
      if (read) continue;
      is_all_read = false;
      int const error = read.error().Errno();
      if (error == ESTALE || error == ENOENT) {
        troubles_.AddChanged(origin.path);
      } else {
        troubles_.AddUnreadable(origin.path, read.error());
      }
    }
    return is_all_read && !troubles_.IsHopeless();
  }

  base::Status ReadFile(const OriginFile& origin, std::span<ChunkEntry> blocks,
                        std::span<std::byte> image) {
    auto reader = OriginFileReader::Open(source_, origin);
    if (!reader) return tl::unexpected<base::Error>(reader.error());
    for (ChunkEntry& block : blocks) {
      std::span<std::byte> const into = image.subspan(block.offset, block.size_bytes);
      uint64_t const offset = uint64_t{block.extent} * options_.extent_bytes;
      if (auto read = reader->Read(into, offset, options_.read_at); !read) return read;
      block.digest = DigestOf(into);
    }
    return reader->Check();
  }

  void Add(size_t index, const ChunkHead& head) {
    PlannedFile const& file = plan_.files()[index];
    SampleId const first = head.entries.front().sample;
    bool const is_run = file.extent_count > 0;
    rows_[index] = {.key = is_run ? PackedKey{first.high, first.low, file.first_extent}
                                  : PackedKey{file.id.prefix, 0, 0},
                    .count = static_cast<uint32_t>(head.entries.size()),
                    .place = ChecksumOf(EncodeChunkHead(head)),
                    .bytes = head.file_bytes};
    uint64_t bytes = 0;
    for (ChunkEntry const& entry : head.entries) bytes += entry.size_bytes;
    bytes_done_ += bytes;
    ++files_done_;
  }

  static uint64_t ChecksumOf(std::string_view head) {
    return ByteReader(head.substr(head.size() - 8)).Get<uint64_t>();
  }

  const PackOptions& options_;
  const int source_;
  PackOutput& output_;
  const PackPlan& plan_;
  Counters& counters_;
  ByteBudget budget_;
  Troubles troubles_;
  std::atomic<size_t> next_{0};          // atomic: each thread takes the next file
  std::atomic<uint64_t> files_done_{0};  // atomics: summed by all threads
  std::atomic<uint64_t> bytes_done_{0};
  std::vector<PackedRow> rows_;  // each written by the thread that took its file
  base::Mutex mu_;
  base::CondVar ended_;
  size_t running_ GUARDED_BY(mu_) = 0;
};

// What no two threads do: the index, and the manifest that makes it all a dataset.
base::Result<PackedManifest> Finish(const PackOptions& options, PackOutput& output,
                                    const PackTree& tree, const PackPlan& plan,
                                    std::vector<PackedRow> rows) {
  if (auto synced = output.SyncFolders(); !synced) return tl::unexpected(synced.error());
  auto writer = PackedIndexWriter::Create(output.path());
  if (!writer) return tl::unexpected(writer.error());
  for (PackFolder const& folder : tree.folders) {
    auto const added = (*writer)->AddFolder(folder.path, folder.listing);
    if (!added) return tl::unexpected(added.error());
  }
  PackedManifest manifest{.layout = options.layout,
                          .extent_bytes = options.extent_bytes,
                          .samples = plan.SampleCount(),
                          .bytes = plan.SampleBytes(),
                          .files = rows.size()};
  std::vector<uint64_t> checksums;
  std::vector<PackedRow> buckets, runs;
  for (size_t i = 0; i < rows.size(); ++i) {
    checksums.push_back(rows[i].place);
    (plan.files()[i].extent_count > 0 ? runs : buckets).push_back(rows[i]);
  }
  auto status = (*writer)->Finish(std::move(buckets), std::move(runs), manifest);
  if (status) status = output.Commit(manifest, std::move(checksums));
  if (!status) return tl::unexpected(status.error());
  return manifest;
}

}  // namespace

base::Result<PackSummary> Pack(const PackOptions& options, base::UniqueFd source) {
  auto output = PackOutput::Open(options.out);
  if (!output) return tl::unexpected(output.error());
  base::UniqueFd for_lister(fcntl(source.Get(), F_DUPFD_CLOEXEC, 3));
  if (!for_lister.Valid()) return base::FailErrno(errno, "source");
  auto lister = DirectoryLister::Make(std::move(for_lister));
  if (!lister) return tl::unexpected(lister.error());
  Counters counters;
  for (int pass_count = 1;; ++pass_count) {
    if (options.on_progress) options.on_progress({});
    auto const tree =
        ScanTree(**lister, {.threads = options.scan_threads, .source_paths = options.source_paths});
    if (!tree) return tl::unexpected(tree.error());
    PackPlan const plan(*tree, options.layout, options.extent_bytes);
    Pass pass(options, source.Get(), **output, plan, counters);
    if (auto packed = pass.Run(); !packed) {
      bool const is_changed = packed.error().code == std::errc{ESTALE};
      if (is_changed && pass_count < kPassesMax) continue;
      return tl::unexpected(packed.error());
    }
    auto const manifest = Finish(options, **output, *tree, plan, pass.TakeRows());
    if (!manifest) return tl::unexpected(manifest.error());
    return PackSummary{
        .digest = manifest->Digest(),
        .samples = manifest->samples,
        .bytes = manifest->bytes,
        .files = manifest->files,
        .reused_files = manifest->files - std::min(manifest->files, counters.written_files.load()),
        .written_bytes = counters.written_bytes};
  }
}

}  // namespace stokefs::cache
