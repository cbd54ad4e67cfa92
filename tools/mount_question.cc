#include "tools/mount_question.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/file.h"
#include "tools/detach.h"
#include "tools/exit_status.h"
#include "tools/timed_child.h"

namespace stokefs::tools {
namespace {

base::Result<std::string> ReadLink(const std::string& mount_point, TimedChild& child,
                                   base::Duration limit) {
  auto target = child.Wait(limit);
  if (!target) return target;
  // A relative link starts at the folder that holds it.
  return target->starts_with('/') ? *target : mount_point + "/" + *target;
}

// An error of a mount whose daemon is gone.
bool IsGone(const base::Error& error) {
  return error.Errno() == ENOTCONN || error.Errno() == ECONNABORTED;
}

// What hangs, with the count of requests that wait in the kernel: asked while ours is one of them.
std::string StuckStep(const TimedChild& child, uint32_t connection) {
  auto const waiting = WaitingRequests(connection);
  if (!waiting) return child.step();
  return child.step() + " (" + std::to_string(*waiting) + " waiting in the kernel, connection " +
         std::to_string(connection) + ")";
}

}  // namespace

std::string StuckStep(const TimedChild& child, const std::string& control) {
  auto const mounts = MountTable::Read();
  auto const there = mounts ? mounts->At(control) : std::nullopt;
  return there ? StuckStep(child, there->minor) : child.step();
}

base::Result<KnownMount> FindMount(const std::string& path, base::Duration limit) {
  auto const real = RunTimed(limit, [&](TimedChild::Reporter& report) {
    report.Step("look up " + path);
    std::unique_ptr<char, void (*)(void*)> const found(realpath(path.c_str(), nullptr), free);
    if (found)
      report.Output(found.get());
    else
      report.Fail(Refuse(path + ": " + std::generic_category().message(errno)).value());
  });
  if (!real) return Pass(real.error());
  auto const mounts = MountTable::Read();
  if (!mounts) return Pass(mounts.error());
  auto const there = mounts->At(*real);
  if (!there || there->type != kDatasetMountType)
    return Refuse(*real + " is no stokefs mount" +
                  (there ? " (type " + there->type + ")" : std::string()));
  return KnownMount{*real, *there, Registry::OfThisUser().Read(MountId(*real))};
}

base::Result<ControlPlace> FindControl(const KnownMount& known, base::Duration limit) {
  std::string const link = known.mount_point + "/.stokefs";
  auto child = TimedChild::Start([&](TimedChild::Reporter& report) {
    report.Step("readlink " + link);
    std::array<char, 4097> target{};
    ssize_t const length = readlink(link.c_str(), target.data(), target.size() - 1);
    if (length < 0) return report.Fail(base::FailErrno(errno, link).value());
    report.Output({target.data(), static_cast<size_t>(length)});
  });
  if (!child) return Pass(child.error());
  // Half of the time for the dataset mount, the rest for the control mount.
  auto control = ReadLink(known.mount_point, **child, limit / 2);
  ControlPlace place;
  if (!control) {
    if ((*child)->late()) place.stuck_step = StuckStep(**child, known.mount.minor);
    if (IsGone(control.error()) || !known.entry)
      return place.stuck_step ? NoAnswer(*place.stuck_step) : Pass(control.error());
    control = known.entry->control_path;
  }
  place.path = *std::move(control);
  return place;
}

base::Result<Answer> ReadControlFile(const KnownMount& known, const std::string& name,
                                     base::Duration limit) {
  auto const deadline = std::chrono::steady_clock::now() + limit;
  auto control = FindControl(known, limit);
  if (!control) return Pass(control.error());
  Answer answer{.bytes = {}, .stuck_step = std::move(control->stuck_step)};
  std::string const file = control->path + "/" + name;
  auto reader = TimedChild::Start([&](TimedChild::Reporter& report) {
    report.Step("open " + file);
    base::UniqueFd const fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.Valid()) return report.Fail(base::FailErrno(errno, file).value());
    report.Step("read " + file);
    std::array<char, 65536> piece;
    for (;;) {
      ssize_t const got = read(fd.Get(), piece.data(), piece.size());
      if (got == 0) return;
      if (got < 0) return report.Fail(base::FailErrno(errno, file).value());
      report.Output({piece.data(), static_cast<size_t>(got)});
    }
  });
  if (!reader) return Pass(reader.error());
  auto bytes = (*reader)->Wait(deadline - std::chrono::steady_clock::now());
  if (!bytes) {
    if ((*reader)->late()) {
      // A link beside MNT is relative, and then the table has the control mount by another name.
      std::string const name_in_table = known.entry ? known.entry->control_path : control->path;
      std::string const step = StuckStep(**reader, name_in_table);
      return NoAnswer(answer.stuck_step ? *answer.stuck_step + ", and " + step : step);
    }
    // The control mount has nothing, and the dataset mount hangs: the latter is the news.
    if (answer.stuck_step) return NoAnswer(*answer.stuck_step);
    return Pass(bytes.error());
  }
  answer.bytes = *std::move(bytes);
  return answer;
}

}  // namespace stokefs::tools
