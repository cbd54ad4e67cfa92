#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/machine_memory.h"
#include "tools/doctor.h"
#include "tools/mount_options.h"
#include "tools/mount_table.h"
#include "tools/sizes.h"

namespace stokefs::tools {
namespace {

std::string ErrorText(int error) { return std::generic_category().message(error); }

Finding ExamineRelease() {
  utsname names{};
  uname(&names);
  int major = 0;
  int minor = 0;
  std::sscanf(names.release, "%d.%d", &major, &minor);
  // 5.6 brought openat2; Debian 12 has 6.1.
  return {.name = "kernel",
          .ok = major > 5 || (major == 5 && minor >= 6),
          .need = Need::kMount,
          .found = std::string("Linux ") + names.release,
          .advice = "5.6 or newer is needed (openat2)"};
}

Finding ExamineFuseDevice() {
  base::UniqueFd const device(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  return {.name = "/dev/fuse",
          .ok = device.Valid(),
          .need = Need::kMount,
          .found = device.Valid() ? "opens" : ErrorText(errno),
          .advice = "modprobe fuse; in a container give it the device and CAP_SYS_ADMIN"};
}

Finding ExamineFusermount() {
  for (const char* path :
       {"/usr/bin/fusermount3", "/bin/fusermount3", "/usr/local/bin/fusermount3"})
    if (access(path, X_OK) == 0) return {.name = "fusermount3", .ok = true, .found = path};
  return {.name = "fusermount3",
          .ok = false,
          .need = geteuid() == 0 ? Need::kExtra : Need::kMount,
          .found = "not found",
          .advice = "apt-get install fuse3 (only root mounts without it)"};
}

Finding ExamineAllowOther() {
  bool const allowed = UsersMayAllowOthers();
  return {.name = "user_allow_other",
          .ok = allowed || geteuid() == 0,
          .found = allowed ? "set in /etc/fuse.conf"
                           : (geteuid() == 0 ? "not set, root needs none" : "not set"),
          .advice =
              "needed for -o allow_other as a user: add a line user_allow_other to "
              "/etc/fuse.conf"};
}

Finding ExamineOpenat2() {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  base::UniqueFd const root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  base::UniqueFd const fd(
      static_cast<int>(syscall(SYS_openat2, root.Get(), ".", &how, sizeof how)));
  return {.name = "openat2",
          .ok = fd.Valid(),
          .need = Need::kMount,
          .found = fd.Valid() ? "works" : ErrorText(errno),
          .advice = "the kernel is too old or a seccomp filter forbids it"};
}

Finding ExamineMemfd() {
  base::UniqueFd const fd(memfd_create("stokefs-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  bool const sealed = fd.Valid() && ftruncate(fd.Get(), 4096) == 0 &&
                      fcntl(fd.Get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0;
  return {.name = "memfd sealing",
          .ok = sealed,
          .need = Need::kMount,
          .found = sealed ? "works" : ErrorText(errno),
          .advice = "the memory tier is a memfd; a seccomp filter may forbid it"};
}

Finding ExamineIoUring() {
  io_uring_params parameters{};
  base::UniqueFd const ring(static_cast<int>(syscall(SYS_io_uring_setup, 4, &parameters)));
  return {.name = "io_uring",
          .ok = ring.Valid(),
          .found = ring.Valid() ? "works" : ErrorText(errno),
          .advice =
              "sysctl kernel.io_uring_disabled=0, or let the container's seccomp filter pass "
              "it; disks are read by threads until then"};
}

Finding ExamineFusectl() {
  auto const mounts = MountTable::Read();
  auto const there = mounts ? mounts->At("/sys/fs/fuse/connections") : std::nullopt;
  bool const mounted = there && there->type == "fusectl";
  return {.name = "fusectl",
          .ok = mounted,
          .found = mounted ? "mounted" : "not mounted",
          .advice =
              "mount -t fusectl none /sys/fs/fuse/connections (unmount --force and fsctl use "
              "it; as root the former mounts it)"};
}

std::string LimitText(rlim_t limit) {
  return limit == RLIM_INFINITY ? "unlimited" : std::to_string(limit);
}

}  // namespace

std::vector<Finding> ExamineKernel() {
  return {ExamineRelease(), ExamineFuseDevice(), ExamineFusermount(), ExamineAllowOther(),
          ExamineOpenat2(), ExamineMemfd(),      ExamineIoUring(),    ExamineFusectl()};
}

std::vector<Finding> ExamineMemory() {
  rlimit files{};
  rlimit locked{};
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_MEMLOCK, &locked);
  auto const memory = base::ReadMachineMemory();
  bool const limited = memory.limit_bytes < memory.total_bytes;
  // The smallest that is of use: a memory tier of 256 MiB within half of it.
  bool const enough = std::min(memory.total_bytes, memory.limit_bytes) >= 512u << 20;
  return {{.name = "open files",
           .ok = files.rlim_max >= 4096,
           .found = LimitText(files.rlim_cur) + " (at most " + LimitText(files.rlim_max) + ")",
           .advice = "raise it to 4096: ulimit -n, or LimitNOFILE= in the systemd unit"},
          {.name = "locked memory",
           .ok = locked.rlim_cur >= 8u << 20,
           .found = LimitText(locked.rlim_cur) + " bytes",
           .advice = "raise it to 8 MiB: ulimit -l, or LimitMEMLOCK= in the systemd unit (io_uring "
                     "and registered memory use it)"},
          {.name = "memory",
           .ok = enough,
           .found = SizeText(static_cast<double>(memory.total_bytes)) +
                    (limited ? ", the control group's limit is " +
                                   SizeText(static_cast<double>(memory.limit_bytes))
                             : ", no limit by a control group"),
           .advice = "give --memory a small size"}};
}

}  // namespace stokefs::tools
