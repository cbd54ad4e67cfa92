#include "tools/unmount_command.h"

#include <signal.h>

#include <cstdio>
#include <optional>

#include "tools/detach.h"
#include "tools/exit_status.h"
#include "tools/mount_checks.h"
#include "tools/mount_table.h"
#include "tools/process_state.h"
#include "tools/registry.h"
#include "tools/timed_child.h"

namespace stokefs::tools {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Target {
  std::string mount_point;
  std::optional<MountEntry> mount;  // none: only an entry is left
  std::optional<RegistryEntry> entry;
};

base::Result<Target> Find(const std::string& path, const Registry& registry) {
  auto const mounts = MountTable::Read();
  if (!mounts) return Pass(mounts.error());
  Target target{.mount_point = path};
  auto const as_written = mounts->At(path);
  // A folder above the mount may hang: what the kernel knows by this very name needs no look-up.
  if (!as_written || !IsStokefs(*as_written)) {
    auto canonical = CanonicalMountPoint(path);
    if (!canonical) return Pass(canonical.error());
    target.mount_point = *canonical;
  }
  target.mount = mounts->At(target.mount_point);
  target.entry = registry.Read(MountId(target.mount_point));
  if (target.mount && !IsStokefs(*target.mount))
    return Refuse(target.mount_point + " is no stokefs mount (type " + target.mount->type + ")");
  if (!target.mount && !target.entry) return Refuse(target.mount_point + " is not mounted");
  return target;
}

base::Status Busy(const std::string& mount_point) {
  std::string users;
  // Reading another process's mappings may wait for that process.
  auto const found = RunTimed(seconds(2), [&](TimedChild::Reporter& report) {
    size_t count = 0;
    for (const PathUser& user : FindUsers(mount_point, milliseconds(1500))) {
      // A dozen say enough.
      if (++count > 12) break;
      report.Output((count > 1 ? ", " : "") + user.name + " (process " + std::to_string(user.pid) +
                    ": " + user.what + ")");
    }
  });
  if (found && !found->empty()) users = " by " + *found;
  return base::Fail(
      std::errc::device_or_resource_busy,
      mount_point + " is in use" + users + "; end that, or stokefs unmount --force " + mount_point);
}

base::Status AwaitEnd(const RegistryEntry& entry, const Registry& registry) {
  if (WaitForEnd(entry.pid, entry.start_ticks, seconds(10))) {
    auto const left = registry.Read(entry.id);
    if (left && left->pid == entry.pid) CleanUp(registry, *left);  // it was killed
    return {};
  }
  auto const process = ReadProcess(entry.pid);
  return NoAnswer(entry.mount_point + " is unmounted, but its daemon, process " +
                  std::to_string(entry.pid) + ", has not ended: it is " +
                  StateText(process ? process->state : '?'));
}

base::Status UnmountPlainly(const Target& target, const Registry& registry) {
  if (target.mount) {
    base::Status const detached = Detach(target.mount_point, DetachKind::kPlain);
    if (!detached) {
      if (detached.error().code == std::errc::device_or_resource_busy)
        return Busy(target.mount_point);
      return base::Wrap(detached.error(), "cannot unmount");
    }
  }
  return target.entry ? AwaitEnd(*target.entry, registry) : base::Status();
}

// Only a process that the registry names and that still is that process.
void KillDaemon(const RegistryEntry& entry) {
  auto const process = ReadProcess(entry.pid);
  if (!process || process->start_ticks != entry.start_ticks) return;
  // A stopped process takes no SIGTERM.
  if (process->state != 'T' && process->state != 't') {
    kill(entry.pid, SIGTERM);
    if (WaitForEnd(entry.pid, entry.start_ticks, milliseconds(500))) return;
  }
  kill(entry.pid, SIGKILL);
}

// A daemon whose threads are stuck in the origin gives them up after 3 s (2 x 1.5 s).
constexpr milliseconds kEndLimit{3300};

base::Status UnmountByForce(const Target& target, const Registry& registry) {
  base::Status status;
  if (target.mount) {
    status = Detach(target.mount_point, DetachKind::kLazy);
    if (!status) status = base::Wrap(status.error(), "cannot unmount");
    // After that: a daemon whose connection is cut takes its mount away itself. As a user without
    // fusectl this fails; then the daemon's end cuts the connection.
    (void)AbortConnection(target.mount->minor);
  }
  if (!target.entry) return status;
  const RegistryEntry& entry = *target.entry;
  auto const mounts = MountTable::Read();
  auto const control = mounts ? mounts->At(entry.control_path) : std::nullopt;
  if (control && IsStokefs(*control)) (void)AbortConnection(control->minor);
  auto const process = ReadProcess(entry.pid);
  bool const stopped = process && (process->state == 'T' || process->state == 't');
  if (!WaitForEnd(entry.pid, entry.start_ticks, stopped ? milliseconds(0) : kEndLimit)) {
    KillDaemon(entry);
    if (!WaitForEnd(entry.pid, entry.start_ticks, seconds(1)) && status) {
      auto const state = ReadProcess(entry.pid);
      status = NoAnswer(entry.mount_point + " is unmounted, but its daemon, process " +
                        std::to_string(entry.pid) + ", cannot be ended: it is " +
                        StateText(state ? state->state : '?'));
    }
  }
  auto const left = registry.Read(entry.id);
  if (left && left->pid == entry.pid && left->start_ticks == entry.start_ticks)
    CleanUp(registry, *left);
  return status;
}

}  // namespace

int Unmount(const std::string& path, UnmountKind kind) {
  Registry const registry = Registry::OfThisUser();
  auto const target = Find(path, registry);
  base::Status status;
  if (!target)
    status = Pass(target.error());
  else
    status = kind == UnmountKind::kForce ? UnmountByForce(*target, registry)
                                         : UnmountPlainly(*target, registry);
  if (status) return kExitDone;
  std::fprintf(stderr, "stokefs: %s\n", status.error().message.c_str());
  return ExitStatusOf(status.error());
}

}  // namespace stokefs::tools
