#include "tools/mount_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <memory>
#include <optional>

#include "tools/daemon.h"
#include "tools/daemonize.h"
#include "tools/dataset_lock.h"
#include "tools/detach.h"
#include "tools/exit_status.h"
#include "tools/mount_checks.h"
#include "tools/mount_table.h"
#include "tools/origin.h"
#include "tools/process_state.h"
#include "tools/registry.h"
#include "tools/source_name.h"

namespace stokefs::tools {
namespace {

constexpr auto kAnswerLimit = std::chrono::seconds(10);
constexpr auto kEndingLimit = std::chrono::seconds(10);

// What a mount has besides the mount itself. Given back by the destructor.
class Holdings {
 public:
  explicit Holdings(Registry registry) : registry_(std::move(registry)) {}
  ~Holdings() { GiveBack(); }
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;

  // Each step may be the last; what was taken before is given back.
  base::Status Take(MountConfig config, StartReport& report) {
    config_ = std::move(config);
    if (auto status = registry_.Prepare(); !status) return status;
    auto const mount_point = CanonicalMountPoint(config_.mount_point);
    if (!mount_point) return Pass(mount_point.error());
    config_.mount_point = *mount_point;
    entry_.id = MountId(*mount_point);
    base::Status status = TakeMountPoint(report);
    if (status) status = TakeDataset(report);
    if (status) status = TakeControlFolder();
    if (!status) return status;
    config_.control_dir = entry_.control_path;
    return registry_.Write(entry_);
  }

  // After the kernel has the mount: its connection's number. Asks no file system.
  base::Status RecordConnection() {
    auto const mounts = MountTable::Read();
    if (!mounts) return Pass(mounts.error());
    auto const mount = mounts->At(entry_.mount_point);
    if (mount) entry_.connection = mount->minor;
    return registry_.Write(entry_);
  }

  base::Result<DaemonInputs> Inputs() {
    DaemonInputs inputs{.config = config_};
    std::string const path = SourceName::Parse(entry_.source).path;
    inputs.source = base::UniqueFd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!inputs.source.Valid()) return base::FailErrno(errno, "source " + path);
    inputs.config.source = entry_.source;
    auto const adopted = AdoptLayout(inputs.config, inputs.source);
    if (!adopted) return Pass(adopted.error());
    inputs.dataset_folders = lock_->folders();
    inputs.control_path = entry_.control_path;
    inputs.mount_id = entry_.id;
    inputs.lock = lock_.get();
    return inputs;
  }

  void GiveBack() {
    if (claimed_) CleanUp(registry_, entry_);
    claimed_ = false;
    if (lock_) lock_->Unlock();
  }

 private:
  base::Status TakeMountPoint(StartReport& report) {
    Notice const notice = [&](const std::string& text) { report.Wait(text, kEndingLimit); };
    auto const self = ReadProcess(getpid());
    entry_.pid = getpid();
    entry_.start_ticks = self ? self->start_ticks : 0;
    entry_.mount_point = config_.mount_point;
    entry_.started_s = time(nullptr);
    entry_.control_path =
        config_.control_dir.empty() ? registry_.ControlPath(entry_.id) : config_.control_dir;
    // Two commands may want one mount point at once: the entry belongs to the first.
    for (;;) {
      base::Status status = ClearMountPoint(entry_.mount_point, registry_, kEndingLimit, notice);
      if (!status) return status;
      auto const paths = CheckPaths(config_, entry_.control_path);
      if (!paths) return Pass(paths.error());
      entry_.source = paths->source;
      entry_.control_path = paths->control_path;
      entry_.cache_dirs = config_.cache_dir;
      entry_.lock_path = DatasetFolder(config_.cache_dir[0], entry_.source) + "/lock";
      status = registry_.Claim(entry_);
      claimed_ = status.has_value();
      if (status || status.error().code != std::errc::file_exists) return status;
    }
  }

  base::Status TakeDataset(StartReport& report) {
    auto lock = DatasetLock::Acquire(
        {.source = entry_.source,
         .mount_point = entry_.mount_point,
         .cache_dirs = config_.cache_dir,
         .wait = kEndingLimit,
         .notice = [&](const std::string& text) { report.Wait(text, kEndingLimit); }});
    if (!lock) return Pass(lock.error());
    lock_ = *std::move(lock);
    return {};
  }

  // 0555, so that nothing is written below the control mount while it is not there.
  base::Status TakeControlFolder() {
    if (mkdir(entry_.control_path.c_str(), 0555) == 0) {
      entry_.control_made = true;
      return {};
    }
    if (errno == EEXIST) {
      // Our default place may have been left by a daemon that was killed.
      entry_.control_made = entry_.control_path == registry_.ControlPath(entry_.id);
      return {};
    }
    return base::FailErrno(errno, "control mount " + entry_.control_path);
  }

  const Registry registry_;
  MountConfig config_;
  RegistryEntry entry_;
  bool claimed_ = false;
  std::unique_ptr<DatasetLock> lock_;
};

int Serve(const MountConfig& config, StartReport& report) {
  Holdings holdings(Registry::OfThisUser());
  auto const fail = [&](const base::Error& error) {
    holdings.GiveBack();
    report.Fail(error);
    return ExitStatusOf(error);
  };
  if (auto taken = holdings.Take(config, report); !taken) return fail(taken.error());
  auto inputs = holdings.Inputs();
  if (!inputs) return fail(inputs.error());
  std::optional<base::Error> failure;
  bool answered = false;
  DaemonEnd const end = RunDaemon(*std::move(inputs), [&](const base::Status& mounted) {
    answered = true;
    base::Status recorded = mounted;
    if (recorded) recorded = holdings.RecordConnection();
    if (mounted && !recorded)
      report.Note("the mount serves, but list and unmount will not find it: " +
                  recorded.error().message);
    if (mounted)
      report.Ready();
    else
      failure = mounted.error();  // told when all is put away
  });
  int status = end.exit_status;
  if (failure) {
    status = fail(*failure);
  } else if (!answered) {
    status = fail({std::errc::io_error, "the daemon ended before the mount answered"});
  } else {
    holdings.GiveBack();
  }
  if (end.thread_left) _exit(status);
  return status;
}

// For a child that could not put its things away itself.
void CleanUpAfter(pid_t child) {
  Registry const registry = Registry::OfThisUser();
  for (const RegistryEntry& entry : registry.List()) {
    if (entry.pid != child) continue;
    auto const mounts = MountTable::Read();
    auto const there = mounts ? mounts->At(entry.mount_point) : std::nullopt;
    if (there && IsStokefs(*there)) (void)Detach(entry.mount_point, DetachKind::kLazy);
    CleanUp(registry, entry);
  }
}

}  // namespace

int Mount(const MountConfig& config) {
  if (config.foreground) {
    ForegroundReport report;
    return Serve(config, report);
  }
  return RunInBackground([&](StartReport& report) { return Serve(config, report); }, kAnswerLimit,
                         CleanUpAfter);
}

}  // namespace stokefs::tools
