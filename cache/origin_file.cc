#include "cache/origin_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string>
#include <thread>
#include <utility>

#include "cache/open_beneath.h"

namespace stokefs::cache {
namespace {

// O_NONBLOCK: a FIFO that took the file's place must not block the open.
constexpr int kOpenFlags = O_RDONLY | O_NOCTTY | O_NONBLOCK | O_NOATIME;

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

base::Result<base::UniqueFd> OpenFile(int source, const std::string& path) {
  int flags = kOpenFlags;
  base::Result<base::UniqueFd> file = OpenBeneath(source, path, flags);
  if (!file && file.error().Errno() == EPERM) {  // another user's file: O_NOATIME is not for us
    flags &= ~O_NOATIME;
    file = OpenBeneath(source, path, flags);
  }
  if (!file && file.error().Errno() == EAGAIN) {  // a lease on it (fcntl(2)), being broken for us
    flags &= ~O_NONBLOCK;
    file = OpenBeneath(source, path, flags);
  }
  return file;
}

base::Status CheckVersion(int fd, const FileVersion& expected) {
  struct stat found;
  if (fstat(fd, &found) != 0) return base::FailErrno(errno, "stat");
  if (S_ISREG(found.st_mode) && VersionOf(found) == expected) return {};
  return base::FailErrno(ESTALE, "the file changed");
}

// What an error of the origin says about the file's version.
base::Error Judge(base::Error error) {
  if (error.Errno() == ELOOP) error.code = std::errc{ESTALE};  // a link took a component's place
  if (error.code == std::errc::not_a_directory) error.code = std::errc::no_such_file_or_directory;
  return error;
}

int64_t WallClockNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

FileVersion VersionOf(const struct stat& found) {
  return {.size_bytes = static_cast<uint64_t>(found.st_size),
          .inode = found.st_ino,
          .mtime_ns = Nanoseconds(found.st_mtim),
          .ctime_ns = Nanoseconds(found.st_ctim)};
}

// A file system stamps a change with the time of its last tick. What was changed within the tick of
// the look could change again and bear the same times, so such a version is not read before the
// tick is over (Git calls such a file racily clean).
base::Duration UntilSettled(const FileVersion& version, int64_t wall_clock_ns) {
  int64_t const changed_ns = std::max(version.ctime_ns, version.mtime_ns);
  // Whole seconds in both: a file system that keeps no more (FAT: two). Else a jiffy, 10 ms at
  // most.
  bool const coarse =
      version.ctime_ns % 1'000'000'000 == 0 && version.mtime_ns % 1'000'000'000 == 0;
  base::Duration const tick =
      coarse ? std::chrono::milliseconds(2100) : base::Duration(std::chrono::milliseconds(20));
  base::Duration const age(wall_clock_ns - changed_ns);
  // A time ahead of ours is another machine's clock: it says nothing of when that was.
  if (age < base::Duration() || age >= tick) return {};
  return tick - age;
}

base::Result<OriginFileReader> OriginFileReader::Open(int source, const OriginFile& file) {
  base::Result<base::UniqueFd> fd = OpenFile(source, file.path);
  if (!fd) return tl::unexpected<base::Error>(Judge(std::move(fd.error())));
  OriginFileReader reader(std::move(*fd), file.version);
  if (auto status = reader.Check(); !status) return tl::unexpected<base::Error>(status.error());
  if (auto const wait = UntilSettled(file.version, WallClockNs()); wait > base::Duration()) {
    std::this_thread::sleep_for(wait);
  }
  return reader;
}

base::Status OriginFileReader::Read(std::span<std::byte> into, uint64_t offset,
                                    const ReadAtCall& read_at) {
  base::Result<size_t> const got = read_at(fd_.Get(), into, offset);
  if (!got) return tl::unexpected<base::Error>(Judge(got.error()));
  if (*got != into.size()) return base::FailErrno(ESTALE, "the file is shorter");
  return {};
}

base::Status OriginFileReader::Check() const { return CheckVersion(fd_.Get(), version_); }

}  // namespace stokefs::cache
