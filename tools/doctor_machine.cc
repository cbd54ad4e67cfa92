#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/file.h"
#include "tools/doctor.h"
#include "tools/mount_table.h"
#include "tools/sizes.h"
#include "tools/timed_child.h"

namespace stokefs::tools {
namespace {

std::string ErrorText(int error) { return std::generic_category().message(error); }

// The folder, or where it would be made.
std::string DeepestExisting(std::string path) {
  struct stat st {};
  while (path.size() > 1 && stat(path.c_str(), &st) != 0) {
    size_t const slash = path.rfind('/');
    path = slash == 0 ? "/" : path.substr(0, slash);
  }
  return path;
}

std::string TypeOf(const std::string& folder) {
  auto const mounts = MountTable::Read();
  std::array<char, 4096> real{};
  if (!mounts || !realpath(folder.c_str(), real.data())) return "unknown file system";
  auto const mount = mounts->Holding(real.data());
  return mount ? mount->type : "unknown file system";
}

Finding ExamineDirectIo(const std::string& name, const std::string& folder) {
  base::UniqueFd const file(open(folder.c_str(), O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600));
  int const error = errno;
  // tmpfs has no O_DIRECT everywhere, and needs none: it is memory.
  return {.name = name,
          .ok = file.Valid(),
          .found = file.Valid() ? "direct I/O works" : "no direct I/O: " + ErrorText(error),
          .advice = "chunks go through the page cache; ext4, xfs and btrfs do better"};
}

bool Exists(const char* path) { return access(path, F_OK) == 0; }

}  // namespace

std::vector<Finding> ExamineCache(const std::string& folder) {
  std::string const name = "cache " + folder;
  // A folder on a dead network file system must not hang the doctor.
  auto const answer = RunTimed(std::chrono::seconds(2), [&](TimedChild::Reporter& report) {
    report.Output(DeepestExisting(folder));
  });
  if (!answer)
    return {{.name = name,
             .ok = false,
             .need = Need::kMount,
             .found = "no answer",
             .advice = "give another --cache-dir"}};
  struct statvfs room {};
  bool const usable = access(answer->c_str(), W_OK | X_OK) == 0;
  int const error = errno;
  if (!usable || statvfs(answer->c_str(), &room) != 0)
    return {{.name = name,
             .ok = false,
             .need = Need::kMount,
             .found = ErrorText(usable ? errno : error),
             .advice = "give a --cache-dir that you may write"}};
  double const free_bytes = static_cast<double>(room.f_bavail) * static_cast<double>(room.f_frsize);
  return {{.name = name,
           .ok = free_bytes >= 1e9,
           .found = TypeOf(*answer) + ", " + SizeText(free_bytes) + " free" +
                    (*answer == folder ? "" : " (not made yet)"),
           .advice = "a disk tier wants more room: give another --cache-dir or a small --disk"},
          ExamineDirectIo("cache direct I/O", *answer)};
}

std::vector<Finding> ExaminePackages() {
  // Debian 12's files of what the binaries and the training example load at run time.
  bool const torch = Exists("/usr/lib/python3/dist-packages/torch");
  bool const vision = Exists("/usr/lib/python3/dist-packages/torchvision");
  bool const data =
      Exists("/usr/share/dataset-fashion-mnist") || Exists("/usr/share/datasets/fashion-mnist");
  std::string missing;
  if (!torch) missing += " python3-torch";
  if (!vision) missing += " python3-torchvision";
  std::vector<Finding> findings = {
      {.name = "PyTorch",
       .ok = missing.empty(),
       .found = missing.empty() ? "python3-torch and python3-torchvision are installed"
                                : "not installed from Debian's packages",
       .advice = "for the example: apt-get install" + missing},
      {.name = "sample dataset",
       .ok = data,
       .found = data ? "dataset-fashion-mnist is installed" : "not installed",
       .advice = "for the example: apt-get install dataset-fashion-mnist"}};
  struct Library {
    const char* file;
    const char* package;
  };
  for (const Library& library :
       {Library{"libfuse3.so.3", "libfuse3-3"}, Library{"liblmdb.so.0", "liblmdb0"},
        Library{"libspdlog.so.1.10", "libspdlog1.10"}, Library{"liburing.so.2", "liburing2"}}) {
    void* const handle = dlopen(library.file, RTLD_LAZY | RTLD_LOCAL);
    findings.push_back({.name = library.package,
                        .ok = handle != nullptr,
                        .found = handle ? "loads" : "does not load",
                        .advice = std::string("apt-get install ") + library.package});
    if (handle) dlclose(handle);
  }
  return findings;
}

std::vector<Finding> ExamineGpu() {
  std::vector<Finding> findings;
  // Loading and asking the driver may hang where the device does, so a child does it.
  auto const driver = RunTimed(std::chrono::seconds(5), [](TimedChild::Reporter& report) {
    void* const library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!library) return report.Output("no libcuda.so.1");
    using Init = int (*)(unsigned);
    using Count = int (*)(int*);
    auto const init = reinterpret_cast<Init>(dlsym(library, "cuInit"));
    auto const count = reinterpret_cast<Count>(dlsym(library, "cuDeviceGetCount"));
    int devices = 0;
    int const error = init && count ? init(0) : -1;
    if (error != 0) return report.Output("cuInit fails with " + std::to_string(error));
    if (count(&devices) != 0 || devices == 0) return report.Output("no device");
    report.Output("+");
    report.Output(std::to_string(devices) + " found");
  });
  bool const found = driver && driver->starts_with('+');
  findings.push_back({.name = "NVIDIA GPU",
                      .ok = found,
                      .found = found ? driver->substr(1) : (driver ? *driver : "no answer"),
                      .advice = "not needed; with one, install its driver (libcuda1)"});
  auto const cufile = RunTimed(std::chrono::seconds(5), [](TimedChild::Reporter& report) {
    if (dlopen("libcufile.so.0", RTLD_LAZY | RTLD_LOCAL)) report.Output("+");
  });
  bool const direct = cufile && *cufile == "+";
  findings.push_back({.name = "GPUDirect Storage",
                      .ok = direct,
                      .found = direct ? "libcufile.so.0 loads" : "no libcufile.so.0",
                      .advice = "not needed; host memory is the way without it"});
  return findings;
}

}  // namespace stokefs::tools
