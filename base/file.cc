#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace stokefs::base {

void UniqueFd::Reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Result<size_t> ReadAt(int fd, std::span<std::byte> into, uint64_t offset) {
  size_t done = 0;
  while (done < into.size()) {
    ssize_t const got =
        pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR) continue;
      return FailErrno(errno, "read");
    }
    done += static_cast<size_t>(got);
  }
  return done;
}

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t const put = write(fd, bytes.data(), bytes.size());
    if (put < 0) {
      if (errno == EINTR) continue;
      return FailErrno(errno, "write");
    }
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

Result<std::string> ReadFile(const std::string& path, size_t size_max) {
  UniqueFd const fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.Valid()) return FailErrno(errno, path);
  std::string bytes;
  char piece[65536];
  for (;;) {
    ssize_t const got = read(fd.Get(), piece, sizeof(piece));
    if (got == 0) return bytes;
    if (got < 0) {
      if (errno == EINTR) continue;
      return FailErrno(errno, path);
    }
    if (bytes.size() + static_cast<size_t>(got) > size_max) return FailErrno(EFBIG, path);
    bytes.append(piece, static_cast<size_t>(got));
  }
}

Status WriteFileAtomically(const std::string& path, std::string_view bytes, unsigned mode) {
  std::string const temporary = path + ".new." + std::to_string(getpid());
  UniqueFd const fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.Valid()) return FailErrno(errno, temporary);
  Status written = WriteAll(fd.Get(), bytes);
  if (written && fsync(fd.Get()) != 0) written = FailErrno(errno, "fsync");
  if (written && rename(temporary.c_str(), path.c_str()) != 0) {
    written = FailErrno(errno, "rename");
  }
  if (written) return {};
  unlink(temporary.c_str());
  return Wrap(std::move(written.error()), path);
}

Status MakeFolders(const std::string& path, unsigned mode) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string const part = path.substr(0, slash);
    if (mkdir(part.c_str(), mode) != 0) {
      int const error = errno;
      struct stat st {};
      if (stat(part.c_str(), &st) != 0) return FailErrno(error, part);
      if (!S_ISDIR(st.st_mode)) return FailErrno(ENOTDIR, part);
    }
    if (slash == std::string::npos) return {};
  }
}

}  // namespace stokefs::base
