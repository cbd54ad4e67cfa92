#include "tools/mount_checks.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <thread>

#include "base/file.h"
#include "tools/dataset_lock.h"
#include "tools/detach.h"
#include "tools/exit_status.h"
#include "tools/mount_options.h"
#include "tools/mount_table.h"
#include "tools/path_nesting.h"
#include "tools/process_state.h"
#include "tools/source_name.h"
#include "tools/timed_child.h"

namespace stokefs::tools {
namespace {

// The user gets an answer within 10 s, whatever hangs; this leaves room for the rest.
constexpr auto kPathLimit = std::chrono::seconds(8);

base::Status CheckFolder(const std::string& path, const std::string& what) {
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return Refuse(what + " " + path + " does not exist");
    return Refuse(what + " " + path + ": " + std::generic_category().message(errno));
  }
  if (!S_ISDIR(st.st_mode)) return Refuse(what + " " + path + " is not a folder");
  return {};
}

// The name of a path's role in messages, with the path.
struct Named {
  std::string what;
  PathPlace place;

  std::string Text() const { return what + " " + place.canonical(); }
};

class Nestings {
 public:
  explicit Nestings(MountTable mounts) : mounts_(std::move(mounts)) {}

  base::Result<Named> Find(const std::string& what, const std::string& path) const {
    auto place = PathPlace::Of(path, mounts_);
    if (!place) return Refuse(what + " " + place.error().message);
    return Named{what, *std::move(place)};
  }
  static base::Status Forbid(const Named& inner, const Named& outer, const std::string& why) {
    if (!inner.place.IsAtOrBelow(outer.place)) return {};
    return Refuse(inner.Text() + " is at or below the " + outer.Text() + ": " + why);
  }
  const MountTable& mounts() const { return mounts_; }

 private:
  MountTable mounts_;
};

base::Status CheckMountPoint(const Named& mount_point, const Named& source,
                             const MountTable& mounts) {
  base::Status folder = CheckFolder(mount_point.place.canonical(), "mount point");
  if (!folder) return folder;
  auto const there = mounts.At(mount_point.place.canonical());
  // Over the source itself is fine, also where that is a file system of its own.
  bool const over_source = mount_point.place.Is(source.place);
  if (there && (!over_source || IsStokefs(*there)))
    return Refuse(mount_point.Text() + " is in use: " + there->source + " is mounted there (type " +
                  there->type + ")");
  if (!over_source)
    return Nestings::Forbid(mount_point, source, "the mount would show itself within itself");
  return {};
}

base::Status CheckSource(const Named& source) {
  const std::string& path = source.place.canonical();
  if (base::Status folder = CheckFolder(path, "source"); !folder) return folder;
  if (access(path.c_str(), R_OK | X_OK) != 0)
    return Refuse("source " + path + ": " + std::generic_category().message(errno));
  return {};
}

base::Status CheckNestings(const MountConfig& config, const Named& source, const Named& mount_point,
                           const Named& control, const Nestings& nestings) {
  const char* const kHidden = "the mount would cover it";
  const char* const kWritten = "the source is never written";
  if (!source.place.Is(mount_point.place))
    if (auto status = Nestings::Forbid(source, mount_point, kHidden); !status) return status;
  std::vector<Named> written = {control};
  for (const std::string& folder : config.cache_dir) {
    auto named = nestings.Find("cache directory", folder);
    if (!named) return Pass(named.error());
    written.push_back(*std::move(named));
  }
  if (!config.log.empty()) {
    auto named = nestings.Find("log", config.log);
    if (!named) return Pass(named.error());
    std::string const folder = config.log.substr(0, config.log.rfind('/'));
    if (auto status = CheckFolder(folder.empty() ? "/" : folder, "folder of the log"); !status)
      return status;
    written.push_back(*std::move(named));
  }
  for (const Named& path : written) {
    if (auto status = Nestings::Forbid(path, source, kWritten); !status) return status;
    if (auto status = Nestings::Forbid(path, mount_point, kHidden); !status) return status;
    bool const is_control = path.what == control.what;
    if (is_control) continue;
    if (auto status = Nestings::Forbid(path, control, kHidden); !status) return status;
  }
  for (const Named* path : {&source, &mount_point})
    if (auto status = Nestings::Forbid(*path, control, kHidden); !status) return status;
  return {};
}

base::Status CheckControl(const Named& control, const MountTable& mounts) {
  const std::string& path = control.place.canonical();
  if (auto const there = mounts.At(path))
    return Refuse(control.Text() + " is in use: " + there->source + " is mounted there (type " +
                  there->type + ")");
  if (control.place.exists()) return CheckFolder(path, "control mount");
  return {};
}

// fusermount3 would refuse it too, but say less.
base::Status CheckOptions(const MountConfig& config) {
  bool const asked =
      std::find(config.option.begin(), config.option.end(), "allow_other") != config.option.end();
  if (!asked || geteuid() == 0 || UsersMayAllowOthers()) return {};
  return Refuse(
      "mount option allow_other: /etc/fuse.conf must have a line user_allow_other before a user "
      "may give it");
}

base::Status CheckDevice() {
  // libfuse opens it as this user, before it asks fusermount3.
  base::UniqueFd const device(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (device.Valid()) return {};
  return base::FailErrno(errno, "no mount is possible: /dev/fuse");
}

base::Result<CheckedPaths> CheckNow(const MountConfig& config, const std::string& control_path,
                                    TimedChild::Reporter& report) {
  auto mounts = MountTable::Read();
  if (!mounts) return Pass(mounts.error());
  Nestings const nestings(*std::move(mounts));
  SourceName name = SourceName::Parse(config.source);
  report.Step("source " + name.path);
  if (auto status = CheckFolder(name.path, "source"); !status) return Pass(status.error());
  auto const source = nestings.Find("source", name.path);
  if (!source) return Pass(source.error());
  base::Status status = CheckSource(*source);
  if (!status) return Pass(status.error());
  report.Step("mount point " + config.mount_point);
  auto const mount_point = nestings.Find("mount point", config.mount_point);
  if (!mount_point) return Pass(mount_point.error());
  report.Step("one of the paths of cache, log and control");
  auto const control = nestings.Find("control mount", control_path);
  if (!control) return Pass(control.error());
  status = CheckMountPoint(*mount_point, *source, nestings.mounts());
  if (status) status = CheckControl(*control, nestings.mounts());
  if (status) status = CheckNestings(config, *source, *mount_point, *control, nestings);
  if (status) status = CheckOptions(config);
  if (status) status = CheckDevice();
  if (!status) return Pass(status.error());
  name.path = source->place.canonical();
  return CheckedPaths{name.Text(), control->place.canonical()};
}

}  // namespace

base::Result<std::string> CanonicalMountPoint(const std::string& path) {
  auto canonical = RunTimed(kPathLimit, [&](TimedChild::Reporter& report) {
    report.Step("mount point " + path);
    // A mount point's own name is resolved without asking its file system.
    std::unique_ptr<char, void (*)(void*)> const real(realpath(path.c_str(), nullptr), free);
    if (real)
      report.Output(real.get());
    else if (errno == ENOENT)
      report.Fail(Refuse("mount point " + path + " does not exist").value());
    else
      report.Fail(
          Refuse("mount point " + path + ": " + std::generic_category().message(errno)).value());
  });
  if (!canonical) return Pass(canonical.error());
  return *canonical;
}

base::Result<std::unique_ptr<TimedChild>> StartAsking(const std::string& mount_point) {
  // A killed daemon's attributes may still be cached without end, so the question must go through.
  return TimedChild::Start([&](TimedChild::Reporter& report) {
    struct statx stx {};
    if (statx(AT_FDCWD, mount_point.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) != 0)
      report.Fail({static_cast<std::errc>(errno), "statx"});
  });
}

MountHealth AwaitHealth(TimedChild& asked, base::Duration limit) {
  auto const answer = asked.Wait(limit);
  if (answer) return MountHealth::kServing;
  if (asked.late()) return MountHealth::kSilent;
  int const error = answer.error().Errno();
  // Any other errno came from the daemon, or from the kernel on its behalf (EACCES).
  return error == ENOTCONN || error == ECONNABORTED ? MountHealth::kDead : MountHealth::kServing;
}

MountHealth AskMount(const std::string& mount_point, base::Duration limit) {
  auto const asked = StartAsking(mount_point);
  return asked ? AwaitHealth(**asked, limit) : MountHealth::kSilent;
}

namespace {

// Who has MNT, for a refusal.
std::string HolderText(const std::optional<RegistryEntry>& entry) {
  if (!entry || !IsRunning(entry->pid, entry->start_ticks)) return "a stokefs daemon";
  auto const process = ReadProcess(entry->pid);
  return "stokefs process " + std::to_string(entry->pid) +
         (process && process->state == 'T' ? ", which is stopped" : "");
}

base::Status RefuseHeld(const std::string& mount_point, MountHealth health,
                        const std::optional<RegistryEntry>& entry) {
  if (health == MountHealth::kSilent)
    return Refuse("mount point " + mount_point + " is in use by " + HolderText(entry) +
                  " and does not answer; stokefs unmount --force " + mount_point + " ends it");
  return Refuse("mount point " + mount_point + " is in use by " + HolderText(entry) +
                (entry ? " with " + entry->source : std::string()));
}

// A control mount at the default place whose daemon was killed and whose entry is lost.
void TakeAwayLeftControl(const std::string& control_path, const MountTable& mounts) {
  auto const left = mounts.At(control_path);
  if (!left || !IsStokefs(*left)) return;
  if (AskMount(control_path, std::chrono::seconds(2)) != MountHealth::kDead) return;
  // What remains when this fails is refused as in use.
  (void)Detach(control_path, DetachKind::kLazy);
}

bool IsEnding(const RegistryEntry& entry) {
  auto const process = ReadProcess(entry.pid);
  return !process || process->start_ticks != entry.start_ticks || process->Dead() ||
         process->fatal_signal || IsHolderEnding(entry.lock_path);
}

}  // namespace

base::Status ClearMountPoint(const std::string& mount_point, const Registry& registry,
                             base::Duration wait, const Notice& notice) {
  auto const start = std::chrono::steady_clock::now();
  std::string const id = MountId(mount_point);
  for (bool told = false;;) {
    auto const mounts = MountTable::Read();
    if (!mounts) return Pass(mounts.error());
    auto const there = mounts->At(mount_point);
    auto const entry = registry.Read(id);
    bool const ours = there && IsStokefs(*there);
    bool const running = entry && IsRunning(entry->pid, entry->start_ticks);
    if (!ours && !running) {
      if (entry) {
        CleanUp(registry, *entry);  // what a killed daemon left beside a mount now gone
      } else {
        registry.RemoveUnreadable(id);
        TakeAwayLeftControl(registry.ControlPath(id), *mounts);
      }
      return {};
    }
    auto const health =
        ours ? AskMount(mount_point, std::chrono::seconds(2)) : MountHealth::kServing;
    if (ours && health == MountHealth::kDead && !running) {
      notice("taking over the stale mount at " + mount_point + ", whose daemon is gone");
      base::Status const detached = Detach(mount_point, DetachKind::kLazy);
      if (!detached) return base::Wrap(detached.error(), "the stale mount");
      continue;
    }
    // The entry is of a daemon that is gone, but the mount answers: it is another one's.
    bool const anothers = ours && !running && health == MountHealth::kServing;
    bool const ending =
        !anothers && entry && (IsEnding(*entry) || health == MountHealth::kDead || !ours);
    if (!ending) return RefuseHeld(mount_point, health, entry);
    if (std::chrono::steady_clock::now() - start > wait)
      return NoAnswer("mount point " + mount_point + " is still held by " + HolderText(entry) +
                      ", which is ending");
    if (!told)
      notice("waiting for process " + std::to_string(entry->pid) + ", which is " +
             (ours ? "ending" : "starting or ending") + " at " + mount_point);
    told = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

base::Result<CheckedPaths> CheckPaths(const MountConfig& config, const std::string& control_path) {
  auto const found = RunTimed(kPathLimit, [&](TimedChild::Reporter& report) {
    auto const paths = CheckNow(config, control_path, report);
    if (!paths) return report.Fail(paths.error());
    report.Output(paths->source + '\0' + paths->control_path);
  });
  if (!found) return Pass(found.error());
  size_t const zero = found->find('\0');
  return CheckedPaths{found->substr(0, zero), found->substr(zero + 1)};
}

}  // namespace stokefs::tools
