#include "base/real_storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>

#include "base/aligned_buffer.h"

namespace stokefs::base {
namespace {

constexpr uint64_t kStatBlockBytes = 512;  // st_blocks counts these, whatever the file system has
constexpr long kTmpfsMagic = 0x01021994;   // linux/magic.h
constexpr uint32_t kStatxDirectAlign = 0x2000;  // STATX_DIOALIGN, Linux 6.1

tl::unexpected<Error> FailHere(const std::string& what) { return FailErrno(errno, what); }

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

// Calls `visit` with each entry but "." and ".." that is of `type` (S_IFREG, S_IFDIR).
template <typename Visit>
Status ForEachEntry(const std::string& path, mode_t type, Visit visit) {
  Folder const folder(opendir(path.c_str()));
  if (folder == nullptr) return FailHere(path);
  for (;;) {
    errno = 0;
    dirent const* const entry = readdir(folder.get());
    if (entry == nullptr) return errno == 0 ? Status() : FailHere(path);
    std::string const name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat found {};
    bool const may_be =
        entry->d_type == DT_UNKNOWN || static_cast<mode_t>(DTTOIF(entry->d_type)) == type;
    if (!may_be) continue;
    if (fstatat(dirfd(folder.get()), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // gone since it was listed
      return FailHere(path + "/" + name);
    }
    if ((found.st_mode & S_IFMT) == type) visit(name, found);
  }
}

StoredFile Describe(const std::string& name, const struct stat& found) {
  return {.name = name,
          .size_bytes = static_cast<uint64_t>(found.st_size),
          .allocated_bytes = static_cast<uint64_t>(found.st_blocks) * kStatBlockBytes};
}

bool IsOnGrid(std::span<const std::byte> bytes) {
  return std::bit_cast<uintptr_t>(bytes.data()) % kDirectAlignment == 0 &&
         bytes.size() % kDirectAlignment == 0;
}

// With O_DIRECT if `direct` and the file system takes it.
Result<UniqueFd> MakeFile(const std::string& path, int direct) {
  int const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd fd(open(path.c_str(), flags | direct, 0600));
  // A file system that refuses O_DIRECT may do so after it made the file.
  if (!fd.Valid() && errno == EINVAL && direct != 0) {
    unlink(path.c_str());
    fd = UniqueFd(open(path.c_str(), flags, 0600));
  }
  if (!fd.Valid()) return FailHere("open");
  return fd;
}

// So that a full disk says so before the bytes are sent. A file system that cannot is not an error.
Status Allocate(int fd, uint64_t size_bytes) {
  while (size_bytes > 0 && fallocate(fd, 0, 0, static_cast<off_t>(size_bytes)) != 0) {
    if (errno == EINTR) continue;
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return {};
    return FailHere("fallocate");
  }
  return {};
}

// Takes O_DIRECT off the descriptor when a write with it is refused.
Status WriteBytes(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    int const flags = fcntl(fd, F_GETFL);
    bool const is_direct = (flags & O_DIRECT) != 0;
    // After a write that ended off the grid the rest goes the plain way.
    if (is_direct && !IsOnGrid(bytes)) fcntl(fd, F_SETFL, flags & ~O_DIRECT);
    ssize_t const put = write(fd, bytes.data(), bytes.size());
    if (put >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(put));
    } else if (errno == EINVAL && is_direct) {
      fcntl(fd, F_SETFL, flags & ~O_DIRECT);
    } else if (errno != EINTR) {
      return FailHere("write");
    }
  }
  return {};
}

Result<StoredFile> WriteWhole(const std::string& path, std::span<const std::byte> bytes) {
  Result<UniqueFd> const file = MakeFile(path, IsOnGrid(bytes) && !bytes.empty() ? O_DIRECT : 0);
  if (!file) return tl::unexpected(file.error());
  int const fd = file->Get();
  if (Status done = Allocate(fd, bytes.size()); !done) return tl::unexpected(done.error());
  if (Status done = WriteBytes(fd, bytes); !done) return tl::unexpected(done.error());
  if (fdatasync(fd) != 0) return FailHere("fdatasync");
  // Its pages, if it has any, are of no use: readers come with O_DIRECT, or once in an epoch.
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  struct stat found {};
  if (fstat(fd, &found) != 0) return FailHere("stat");
  return Describe(path.substr(path.rfind('/') + 1), found);
}

// A file without a name, or with one for a moment where there is no O_TMPFILE.
Result<UniqueFd> MakeProbe(const std::string& folder) {
  UniqueFd fd(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600));
  if (fd.Valid()) return fd;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return FailHere(folder);
  std::string const path = folder + "/.probe." + std::to_string(getpid());
  unlink(path.c_str());
  int const flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_DIRECT;
  fd = UniqueFd(open(path.c_str(), flags, 0600));
  int const error = errno;
  unlink(path.c_str());
  if (!fd.Valid()) return FailErrno(error, "O_DIRECT");
  return fd;
}

}  // namespace

Status RealStorage::MakeFolders(const std::string& path) { return base::MakeFolders(path); }

Result<std::vector<StoredFile>> RealStorage::ListFiles(const std::string& folder) {
  std::vector<StoredFile> files;
  Status const listed =
      ForEachEntry(folder, S_IFREG, [&files](const std::string& name, const struct stat& found) {
        files.push_back(Describe(name, found));
      });
  if (!listed) return tl::unexpected(listed.error());
  std::sort(files.begin(), files.end(),
            [](const StoredFile& a, const StoredFile& b) { return a.name < b.name; });
  return files;
}

Result<std::vector<std::string>> RealStorage::ListFolders(const std::string& folder) {
  std::vector<std::string> names;
  Status const listed = ForEachEntry(
      folder, S_IFDIR,
      [&names](const std::string& name, const struct stat& /*found*/) { names.push_back(name); });
  if (!listed) return tl::unexpected(listed.error());
  std::sort(names.begin(), names.end());
  return names;
}

Result<StoredFile> RealStorage::WriteNew(const std::string& path,
                                         std::span<const std::byte> bytes) {
  Result<StoredFile> written = WriteWhole(path, bytes);
  if (!written) return Wrap(std::move(written.error()), path);
  return written;
}

Status RealStorage::Rename(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno != EINVAL && errno != ENOSYS) return FailHere(to);
  // A file system without RENAME_NOREPLACE. Nobody else makes names in our folders.
  struct stat found {};
  if (lstat(to.c_str(), &found) == 0) return FailErrno(EEXIST, to);
  if (rename(from.c_str(), to.c_str()) != 0) return FailHere(to);
  return {};
}

Status RealStorage::SyncFolder(const std::string& folder) {
  UniqueFd const fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.Valid()) return FailHere(folder);
  if (fsync(fd.Get()) != 0) return FailHere(folder + ": fsync");
  return {};
}

Status RealStorage::Remove(const std::string& path) {
  if (unlink(path.c_str()) != 0) return FailHere(path);
  return {};
}

Result<UniqueFd> RealStorage::OpenToRead(const std::string& path, int flags) {
  // O_NONBLOCK: a FIFO that took the file's place must not block the open. It is taken off again,
  // because io_uring would answer EAGAIN where it has to wait for a disk.
  constexpr int kAlways = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd fd(open(path.c_str(), kAlways | O_NONBLOCK | flags));
  if (!fd.Valid() || fcntl(fd.Get(), F_SETFL, flags) != 0) return FailHere(path);
  return fd;
}

Result<StorageSpace> RealStorage::Space(const std::string& folder) {
  struct statvfs found {};
  if (statvfs(folder.c_str(), &found) != 0) return FailHere(folder);
  return StorageSpace{.free_bytes = uint64_t{found.f_bavail} * found.f_frsize,
                      .total_bytes = uint64_t{found.f_blocks} * found.f_frsize};
}

Status RealStorage::TryDirectReads(const std::string& folder) {
  Result<UniqueFd> const probe = MakeProbe(folder);
  if (!probe) return tl::unexpected(probe.error());
  // tmpfs accepts the flag and copies all the same.
  struct statfs kind {};
  if (fstatfs(probe->Get(), &kind) == 0 && kind.f_type == kTmpfsMagic) {
    return FailErrno(EOPNOTSUPP, "O_DIRECT on tmpfs");
  }
  struct statx found {};
  if (statx(probe->Get(), "", AT_EMPTY_PATH, kStatxDirectAlign, &found) == 0 &&
      (found.stx_mask & kStatxDirectAlign) != 0) {
    uint32_t const align = std::max(found.stx_dio_mem_align, found.stx_dio_offset_align);
    if (align == 0) return FailErrno(EOPNOTSUPP, "O_DIRECT");
    if (kDirectAlignment % align != 0) {
      return Fail(std::errc::not_supported,
                  "O_DIRECT wants an alignment of " + std::to_string(align));
    }
  }
  if (ftruncate(probe->Get(), 2 * kDirectAlignment) != 0) return FailHere("ftruncate");
  AlignedBuffer buffer(kDirectAlignment);
  ssize_t const got = pread(probe->Get(), buffer.bytes().data(), kDirectAlignment,
                            static_cast<off_t>(kDirectAlignment));
  if (got < 0) return FailHere("O_DIRECT read");
  return {};
}

}  // namespace stokefs::base
