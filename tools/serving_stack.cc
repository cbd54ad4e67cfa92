#include "tools/serving_stack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/machine_memory.h"
#include "tools/config_text.h"
#include "tools/version.h"

namespace stokefs::tools {
namespace {

using std::chrono::milliseconds;

// How often deadlines are looked at: a late read is answered at most this much later.
constexpr milliseconds kTick{20};
// A longer gap between two ticks means that the process did not run, and counts as this much. A
// machine that is only busy delays no tick by 25 of them.
constexpr milliseconds kClockStepMax{500};
// How long an end waits for threads that may be stuck in the origin.
constexpr milliseconds kStopLimit{1500};
constexpr size_t kParkedShown = 8;

const char* NameOf(cache::CatalogState state) {
  switch (state) {
    case cache::CatalogState::kLoading:
      return "loading";
    case cache::CatalogState::kScanning:
      return "scanning";
    case cache::CatalogState::kComplete:
      return "complete";
  }
  return "?";
}

base::Result<base::UniqueFd> Duplicate(const base::UniqueFd& fd) {
  base::UniqueFd copy(fcntl(fd.Get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.Valid()) return base::FailErrno(errno, "duplicate the source's descriptor");
  return copy;
}

uint64_t PageCacheRoomBytes() {
  base::MachineMemory const machine = base::ReadMachineMemory();
  return std::min(machine.total_bytes, machine.limit_bytes);
}

// With the control mount beside MNT the link is relative, so that whoever sees their parent folder
// under another name (a container) sees both.
std::string ControlLink(const std::string& control_path, const std::string& mount_point) {
  size_t const slash = control_path.rfind('/');
  bool const beside = control_path.compare(0, slash, mount_point, 0, mount_point.rfind('/')) == 0;
  return beside ? "../" + control_path.substr(slash + 1) : control_path;
}

}  // namespace

ServingStack::ServingStack(DaemonInputs inputs, base::Journal& journal)
    : inputs_(std::move(inputs)),
      journal_(journal),
      clock_(steady_clock_, kClockStepMax),
      started_(steady_clock_.Now()),
      page_cache_room_bytes_(PageCacheRoomBytes()),
      dropper_(kernel_, reads_in_flight_, [this] { return DropWanted(); }) {}

ServingStack::~ServingStack() = default;

base::Status ServingStack::Build() {
  const MountConfig& config = inputs_.config;
  auto for_catalog = Duplicate(inputs_.source);
  auto for_origin = Duplicate(inputs_.source);
  if (!for_catalog) return base::Wrap(for_catalog.error(), "catalog");
  if (!for_origin) return base::Wrap(for_origin.error(), "origin");

  auto catalog = cache::Catalog::Open(
      {.folder = inputs_.dataset_folder,
       .source_paths = {config.source},
       .extent_bytes = config.large_file_bytes,
       .layout = {.chunk_bytes = config.chunk_bytes, .chunk_samples = config.chunk_samples},
       .scan_threads = config.scan_threads,
       .listing_deadline = config.origin_deadline},
      std::move(*for_catalog), journal_, clock_);
  if (!catalog) return base::Wrap(std::move(catalog.error()), "catalog");
  catalog_ = std::move(*catalog);

  auto memory = cache::MemoryTier::Create(config.memory, policy_);
  if (!memory) return base::Wrap(std::move(memory.error()), "memory");
  memory_ = std::move(*memory);

  origin_ = std::make_unique<cache::OriginDirectory>(
      cache::OriginDirectory::Options{.extent_bytes = config.large_file_bytes,
                                      .threads = config.origin_threads,
                                      .queue_count_max = config.origin_queue},
      std::move(*for_origin), *catalog_, clock_);
  dropper_events_ = std::make_unique<cache::ReadEventQueue>(
      cache::ReadEventQueue::Options{.name = "page-dropper"}, dropper_);
  read_ahead_ = std::make_unique<cache::ReadAhead>(
      cache::ReadAhead::Options{.extent_bytes = config.large_file_bytes,
                                .memory_bytes = config.memory},
      *catalog_, *catalog_,
      [this](std::span<const cache::BlockKey> keys, cache::RoomRule rule,
             cache::PrefetchDone done) {
        return read_path_->Prefetch(keys, rule, std::move(done));
      },
      clock_);
  read_ahead_events_ = std::make_unique<cache::ReadEventQueue>(
      cache::ReadEventQueue::Options{.name = "read-ahead"}, *read_ahead_);
  read_path_ = std::make_unique<cache::ReadPath>(
      cache::ReadPath::Options{.extent_bytes = config.large_file_bytes,
                               .read_deadline = config.origin_deadline,
                               .parked_count_max = config.parked_reads},
      *catalog_, *memory_,
      std::vector<cache::ReadPath::Source>{{.source = origin_.get(),
                                            .deadline = config.origin_deadline,
                                            .background_count_max = config.origin_threads}},
      std::vector<cache::ReadEventQueue*>{dropper_events_.get(), read_ahead_events_.get()}, clock_);

  auto dataset = fs::DatasetMount::Mount(
      {.mount_point = config.mount_point,
       .source_name = config.source,
       .control_link = ControlLink(inputs_.control_path, config.mount_point),
       .options = config.option,
       .threads = std::max(2u, std::thread::hardware_concurrency())},
      *catalog_, *read_path_, reads_in_flight_);
  if (!dataset) return base::Wrap(std::move(dataset.error()), "mount");
  dataset_ = std::move(*dataset);
  kernel_.Attach(dataset_->session().raw());
  return MountControl();
}

base::Status ServingStack::MountControl() {
  // Ours is kept unwritable, so that nothing is written there when the mount is not. But
  // fusermount3 mounts for a user only on a folder that he may write.
  base::UniqueFd const below(
      open(inputs_.control_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat st {};
  if (!below.Valid() || fstat(below.Get(), &st) != 0) {
    return base::FailErrno(errno, "control mount " + inputs_.control_path);
  }
  mode_t const mode = st.st_mode & 07777;
  fchmod(below.Get(), mode | S_IWUSR);
  std::vector<std::string> options;
  for (const std::string& option : inputs_.config.option) {
    if (option == "allow_other") options.push_back(option);
  }
  auto control =
      fs::ControlMount::Mount({.mount_point = inputs_.control_path,
                               .source_name = inputs_.config.source,
                               .options = options},
                              {{"stats", [this] { return fs::ToJson(TakeSnapshot()); }},
                               {"metrics", [this] { return fs::ToPrometheus(TakeSnapshot()); }},
                               {"config", [this] { return ConfigText(inputs_.config); }},
                               {"events", [this] { return journal_.Lines(); }}});
  fchmod(below.Get(), mode);
  if (!control) return base::Wrap(std::move(control.error()), "control");
  control_ = std::move(*control);
  return {};
}

void ServingStack::Serve(std::function<void()> on_end, std::function<void()> on_control_lost) {
  on_control_lost_ = std::move(on_control_lost);
  catalog_->Start(&changes_);
  ticker_ = std::make_unique<base::Ticker>("deadlines", kTick, [this] {
    clock_.Tick();
    read_path_->Tick();
    dataset_->Tick();
  });
  dataset_->Start(std::move(on_end));
  control_->Start(on_control_lost_);
}

base::Status ServingStack::RemountControl() {
  control_->Stop();
  base::Status mounted = MountControl();
  if (mounted) control_->Start(on_control_lost_);
  return mounted;
}

// Top-down: first nothing waits any more, then the kernel lets go, then the threads end.
bool ServingStack::End() {
  if (read_path_ != nullptr) read_path_->Shutdown(std::errc::io_error);
  bool ended = catalog_ == nullptr || catalog_->Stop(kStopLimit);
  // No notification may meet a closed connection, or wait for a READ that nobody answers any more.
  kernel_.Attach(nullptr);
  if (dropper_events_ != nullptr) dropper_events_->Drain();
  if (read_ahead_events_ != nullptr) read_ahead_events_->Drain();
  if (dataset_ != nullptr) dataset_->Stop();
  if (control_ != nullptr) control_->Stop();
  ticker_.reset();
  dropper_events_.reset();
  read_ahead_events_.reset();
  if (origin_ != nullptr) ended = origin_->Stop(kStopLimit) && ended;
  return ended;
}

bool ServingStack::DropWanted() const {
  const MountConfig& config = inputs_.config;
  return cache::DropAfterRead(config.page_cache,
                              {.dataset_bytes = catalog_->Progress().sample_bytes,
                               .memory_budget_bytes = config.memory,
                               .room_bytes = page_cache_room_bytes_,
                               .order_known = false});
}

fs::Snapshot ServingStack::TakeSnapshot() const {
  fs::Snapshot s;
  cache::CatalogProgress const progress = catalog_->Progress();
  if (std::optional<cache::LayoutSummary> const summary = catalog_->Summary()) {
    s.dataset = {summary->digest, summary->samples, summary->bytes, summary->chunks};
  } else {
    s.dataset = {std::nullopt, progress.sample_count, progress.sample_bytes, 0};
  }
  s.scan = {.state = NameOf(progress.state),
            .loaded = progress.loaded,
            .rescanning = progress.rescanning,
            .folders = progress.folder_count,
            .folders_listed = progress.folders_listed,
            .samples = progress.sample_count,
            .bytes = progress.sample_bytes,
            .errors = progress.scan_errors};
  cache::ReadStatistics const& reads = read_path_->Statistics();
  s.reads = {.samples = reads.samples.Value(),
             .bytes = reads.bytes.Value(),
             .memory = reads.memory.Value(),
             .disk = reads.disk.Value(),
             .peer = reads.peer.Value(),
             .origin = reads.origin.Value(),
             .errors = reads.errors.Value(),
             .timeouts = reads.timeouts.Value(),
             .refused = reads.refused.Value(),
             .joined = reads.joined.Value(),
             .prefetched = reads.prefetched.Value(),
             .prefetch_errors = reads.prefetch_errors.Value()};
  cache::ReadAheadStatistics const& ahead = read_ahead_->Statistics();
  s.read_ahead = {.prefetched = ahead.prefetched.Value(),
                  .used = ahead.used.Value(),
                  .wasted = ahead.wasted.Value()};
  s.latency_us = {.read_p50 = reads.latency.QuantileUs(0.5),
                  .read_p99 = reads.latency.QuantileUs(0.99)};
  cache::OriginStatistics const& origin = origin_->Statistics();
  s.origin = {.reads = origin.reads.Value(),
              .bytes = origin.bytes.Value(),
              .errors = origin.errors.Value(),
              .stale = origin.stale.Value(),
              .read_p50_us = origin.latency.QuantileUs(0.5),
              .read_p99_us = origin.latency.QuantileUs(0.99)};
  cache::MemoryUsage const memory = memory_->Usage();
  s.memory = {.used_bytes = memory.used_bytes,
              .budget_bytes = inputs_.config.memory,  // as asked for; the arena has whole pages
              .payload_bytes = memory.payload_bytes,
              .slots = memory.slot_count,
              .evicted = memory.evicted_count};
  for (const cache::ParkedRead& read : read_path_->Parked(kParkedShown)) {
    base::Result<cache::OriginFile> const file = catalog_->LocateAtOrigin(read.node);
    s.parked.push_back({.path = file ? file->path : "?",
                        .reader = read.reader.thread_id,
                        .offset = read.offset,
                        .waited_ms = static_cast<uint64_t>(
                            std::chrono::duration_cast<milliseconds>(read.waited).count())});
  }
  s.parked_count = read_path_->ParkedCount();
  s.page_cache = NameOf(inputs_.config.page_cache);
  s.page_cache_dropping = DropWanted();
  s.page_cache_dropped = dropper_.DroppedCount();
  s.events_dropped = dropper_events_->DroppedCount() + read_ahead_events_->DroppedCount();
  s.pid = getpid();
  s.uptime_s = std::chrono::duration<double>(steady_clock_.Now() - started_).count();
  s.version = kVersion;
  return s;
}

}  // namespace stokefs::tools
