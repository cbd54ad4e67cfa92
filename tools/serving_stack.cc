#include "tools/serving_stack.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/machine_memory.h"
#include "cache/digest.h"
#include "hints/residency.h"
#include "tools/config_text.h"
#include "tools/hint_conversation.h"
#include "tools/origin.h"
#include "tools/trace_report.h"
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
// The same for commands, by when nothing is left that could hold them but a disk.
constexpr milliseconds kSteeringStopLimit{500};
constexpr size_t kParkedShown = 8;
// A local disk answers within milliseconds. One that takes this long is asked for nothing more, and
// the origin is asked instead.
constexpr milliseconds kDiskDeadline{2000};
// Neighbours on a disk become one read where they are asked for together.
constexpr size_t kDiskBackgroundCount = 512;

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

const char* NameOf(cache::DirectoryState state) {
  switch (state) {
    case cache::DirectoryState::kHealthy:
      return "healthy";
    case cache::DirectoryState::kFull:
      return "full";
    case cache::DirectoryState::kRetired:
      return "retired";
    case cache::DirectoryState::kStalled:
      return "stalled";
  }
  return "?";
}

// Says in a chunk file whose samples it holds.
uint64_t DatasetNumber(const std::string& source) {
  return cache::DigestOf(std::as_bytes(std::span(source)));
}

uint64_t PageCacheRoomBytes() {
  base::MachineMemory const machine = base::ReadMachineMemory();
  return std::min(machine.total_bytes, machine.limit_bytes);
}

// Chunk files that each of `folders` may keep open: a quarter of the descriptors for all, so that
// the origin's threads find some.
size_t OpenFilesMax(size_t folders) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 4;
  return std::clamp<size_t>(limit.rlim_cur / 4 / folders, 4, 256);
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
  auto origin = OpenOrigin(config, inputs_.source);
  if (!origin) return base::Wrap(std::move(origin.error()), "origin");

  auto catalog = cache::Catalog::Open(
      {.folder = inputs_.dataset_folders[0],
       .source_paths = std::move(origin->source_paths),
       .identity = std::move(origin->identity),
       .extent_bytes = config.large_file_bytes,
       .layout = {.chunk_bytes = config.chunk_bytes, .chunk_samples = config.chunk_samples},
       .scan_threads = config.scan_threads,
       .listing_deadline = config.origin_deadline},
      std::move(origin->lister), journal_, clock_);
  if (!catalog) return base::Wrap(std::move(catalog.error()), "catalog");
  catalog_ = std::move(*catalog);

  auto memory = cache::MemoryTier::Create(config.memory, policy_);
  if (!memory) return base::Wrap(std::move(memory.error()), "memory");
  memory_ = std::move(*memory);

  origin_ = origin->make_source(*catalog_, clock_);
  MakeDiskTier();
  std::vector<cache::ReadPath::Source> sources;
  if (disk_ != nullptr) {
    sources.push_back({.source = disk_.get(),
                       .deadline = kDiskDeadline,
                       .background_count_max = kDiskBackgroundCount});
  }
  sources.push_back({.source = origin_.get(),
                     .deadline = config.origin_deadline,
                     .background_count_max = config.origin_threads});
  dropper_events_ = std::make_unique<cache::ReadEventQueue>(
      cache::ReadEventQueue::Options{.name = "page-dropper"}, dropper_);
  read_ahead_ = std::make_unique<cache::ReadAhead>(
      cache::ReadAhead::Options{.extent_bytes = config.large_file_bytes,
                                .memory_bytes = config.memory},
      *catalog_, *catalog_,
      [this](std::span<const cache::BlockKey> keys, cache::RoomRule /*rule*/,
             cache::PrefetchDone done) {
        // Who reads in order takes nothing from a job's epochs but what he waits for.
        return read_path_->Prefetch(keys, cache::RoomRule::kSpentRoom, std::move(done));
      },
      clock_);
  read_ahead_events_ = std::make_unique<cache::ReadEventQueue>(
      cache::ReadEventQueue::Options{.name = "read-ahead"}, *read_ahead_);
  MakeEpochEngine();
  read_path_ = std::make_unique<cache::ReadPath>(
      cache::ReadPath::Options{.extent_bytes = config.large_file_bytes,
                               .read_deadline = config.origin_deadline,
                               .parked_count_max = config.parked_reads,
                               .sink = disk_.get()},
      *catalog_, *memory_, std::move(sources),
      std::vector<cache::ReadEventQueue*>{dropper_events_.get(), read_ahead_events_.get(),
                                          epoch_events_.get()},
      clock_);

  steering_ = std::make_unique<Steering>(
      Steering::Parts{.source = config.source,
                      .dataset_folder = inputs_.dataset_folders[0],
                      .layout = {.extent_bytes = config.large_file_bytes,
                                 .layout = {.chunk_bytes = config.chunk_bytes,
                                            .chunk_samples = config.chunk_samples}},
                      .catalog = *catalog_,
                      .memory = *memory_,
                      .disk = disk_.get(),
                      .read_path = *read_path_,
                      .kernel = kernel_,
                      .journal = journal_});
  hints_ =
      MakeHintBook(inputs_.dataset_folders[0], steering_->pins(), *catalog_, journal_, *epochs_);
  if (disk_ != nullptr) {
    preload_ = std::make_unique<cache::Preload>(
        cache::Preload::Options{.extent_bytes = config.large_file_bytes,
                                .memory_bytes = config.memory},
        *catalog_, *disk_, *read_path_);
  }

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

void ServingStack::MakeEpochEngine() {
  const MountConfig& config = inputs_.config;
  catalog_view_ = std::make_unique<cache::CatalogView>(*catalog_);
  epochs_ = std::make_unique<cache::EpochEngine>(
      cache::EpochEngine::Options{.memory_bytes = config.memory,
                                  .layout = {.extent_bytes = config.large_file_bytes,
                                             .layout = {.chunk_bytes = config.chunk_bytes,
                                                        .chunk_samples = config.chunk_samples}}},
      *catalog_view_, processes_, *memory_, policy_,
      [this](std::span<const cache::BlockKey> keys, cache::RoomRule rule,
             cache::PrefetchDone done) {
        return read_path_->Prefetch(keys, rule, std::move(done));
      },
      steady_clock_);
  epoch_events_ = std::make_unique<cache::ReadEventQueue>(
      cache::ReadEventQueue::Options{.name = "epochs"}, *epochs_);
}

void ServingStack::MakeDiskTier() {
  const MountConfig& config = inputs_.config;
  if (config.disk == 0) return;
  std::vector<std::string> folders;
  for (const std::string& folder : inputs_.dataset_folders) folders.push_back(folder + "/chunks");
  catalog_blocks_ = std::make_unique<cache::CatalogBlocks>(*catalog_, config.large_file_bytes);
  disk_ = cache::DiskTier::Create(
      {.folders = std::move(folders),
       .budget_bytes = config.disk,
       .dataset = DatasetNumber(config.source),
       .layout = {.chunk_bytes = config.chunk_bytes, .chunk_samples = config.chunk_samples},
       .extent_bytes = config.large_file_bytes,
       .open_files_max = OpenFilesMax(inputs_.dataset_folders.size()),
       .wanted = catalog_blocks_.get()},
      *catalog_, *memory_, storage_, journal_, clock_);
  disk_->Start();
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
  auto control = fs::ControlMount::Mount(
      {.mount_point = inputs_.control_path,
       .source_name = inputs_.config.source,
       .options = options},
      {{"stats", [this] { return fs::ToJson(TakeSnapshot()); }, {}},
       {"metrics", [this] { return fs::ToPrometheus(TakeSnapshot()); }, {}},
       {"config", [this] { return ConfigText(inputs_.config); }, {}},
       {"events", [this] { return journal_.Lines(); }, {}},
       {"residency",
        [this] {
          return hints::ListResidency(*catalog_, *memory_, inputs_.config.large_file_bytes);
        },
        {}},
       {"trace", [this] { return TraceText(RecordTrace(epochs_->Trace(), inputs_.config)); }, {}},
       {.name = "command",
        .render = {},
        .converse = [this] { return steering_->Converse(); },
        .permissions = 0600},
       HintsFile(*hints_)});
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
  steering_->Start();
  hints_->Start();
  if (preload_ != nullptr) preload_->Start();
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
  if (steering_ != nullptr) steering_->Cancel();
  if (hints_ != nullptr) hints_->Cancel();
  if (read_path_ != nullptr) read_path_->Shutdown(std::errc::io_error);
  if (preload_ != nullptr) preload_->Stop();
  bool ended = catalog_ == nullptr || catalog_->Stop(kStopLimit);
  // No notification may meet a closed connection, or wait for a READ that nobody answers any more.
  kernel_.Attach(nullptr);
  if (dropper_events_ != nullptr) dropper_events_->Drain();
  if (read_ahead_events_ != nullptr) read_ahead_events_->Drain();
  if (epoch_events_ != nullptr) epoch_events_->Drain();
  if (dataset_ != nullptr) dataset_->Stop();
  if (hints_ != nullptr) ended = hints_->Stop(kStopLimit) && ended;  // all writers are answered
  if (control_ != nullptr) control_->Stop();
  ticker_.reset();
  dropper_events_.reset();
  read_ahead_events_.reset();
  epoch_events_.reset();
  if (epochs_ != nullptr) epochs_->Stop();
  if (origin_ != nullptr) ended = origin_->Stop(kStopLimit) && ended;
  if (disk_ != nullptr) ended = disk_->Stop(kStopLimit) && ended;
  if (steering_ != nullptr) ended = steering_->Stop(kSteeringStopLimit) && ended;
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

void ServingStack::AddDisk(fs::Snapshot& snapshot) const {
  if (disk_ == nullptr) return;
  cache::DiskUsage const usage = disk_->Usage();
  for (const cache::DirectoryUsage& directory : usage.directories) {
    snapshot.disk.push_back({.path = directory.path,
                             .used_bytes = directory.used_bytes,
                             .budget_bytes = usage.budget_bytes,
                             .state = NameOf(directory.state),
                             .reason = directory.reason,
                             .reader = directory.reader,
                             .files = directory.files,
                             .blocks = directory.blocks});
  }
  cache::DiskStatistics const& disk = disk_->Statistics();
  snapshot.disk_tier = fs::DiskTierSnapshot{.reads = disk.reads.Value(),
                                            .bytes = disk.bytes.Value(),
                                            .errors = disk.errors.Value(),
                                            .damaged = disk.damaged.Value(),
                                            .read_p50_us = disk.latency.QuantileUs(0.5),
                                            .read_p99_us = disk.latency.QuantileUs(0.99),
                                            .written = disk.written.Value(),
                                            .written_bytes = disk.written_bytes.Value(),
                                            .skipped = disk.skipped.Value(),
                                            .evicted = disk.evicted.Value(),
                                            .pinned = usage.pinned_blocks,
                                            .pending_bytes = usage.pending_bytes,
                                            .loading = usage.loading};
}

void ServingStack::AddJobs(fs::Snapshot& snapshot) const {
  for (const cache::JobReport& job : epochs_->Jobs()) {
    fs::JobSnapshot shown{
        .name = job.record.name(), .root = job.record.root(), .active = job.active};
    for (const cache::EpochRecord& epoch : job.record.epochs()) {
      auto const reads = static_cast<double>(epoch.ReadCount());
      fs::EpochSnapshot e{.index = epoch.index, .samples = epoch.scope_count};
      e.progress = static_cast<double>(epoch.used_count) / static_cast<double>(epoch.scope_count);
      if (epoch.ReadCount() > 0) e.hit_ratio = static_cast<double>(epoch.HitCount()) / reads;
      shown.epochs.push_back(std::move(e));
    }
    snapshot.jobs.push_back(std::move(shown));
  }
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
  s.hints = {.accepted = hints_->AcceptedCount(),
             .rejected = hints_->RefusedCount(),
             .importances = hints_->ImportanceCount()};
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
  AddDisk(s);
  AddJobs(s);
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
  s.events_dropped = dropper_events_->DroppedCount() + read_ahead_events_->DroppedCount() +
                     epoch_events_->DroppedCount();
  s.pid = getpid();
  s.uptime_s = std::chrono::duration<double>(steady_clock_.Now() - started_).count();
  s.version = kVersion;
  return s;
}

}  // namespace stokefs::tools
