#include "cache/directory_lister.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "cache/open_beneath.h"

namespace stokefs::cache {
namespace {

FileType TypeOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return FileType::kFolder;
    case S_IFLNK:
      return FileType::kSymlink;
    case S_IFIFO:
      return FileType::kFifo;
    case S_IFSOCK:
      return FileType::kSocket;
    case S_IFCHR:
      return FileType::kCharDevice;
    case S_IFBLK:
      return FileType::kBlockDevice;
    default:
      return FileType::kRegular;
  }
}

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

OriginStat ToOriginStat(const struct stat& st, uint64_t source_device) {
  return {.type = TypeOf(st.st_mode),
          .permissions = static_cast<uint16_t>(st.st_mode & 07777),
          .user_id = st.st_uid,
          .group_id = st.st_gid,
          .link_count = static_cast<uint32_t>(st.st_nlink),
          .device = st.st_dev == source_device ? 0 : uint64_t{st.st_dev},
          .size_bytes = static_cast<uint64_t>(st.st_size),
          .inode = st.st_ino,
          .mtime_ns = Nanoseconds(st.st_mtim),
          .ctime_ns = Nanoseconds(st.st_ctim)};
}

class OpenedDirectory final : public OpenedFolder {
 public:
  OpenedDirectory(base::UniqueFd folder, uint64_t device)
      : folder_(std::move(folder)), device_(device) {}

  base::Result<OriginStat> Self() override {
    struct stat st {};
    if (fstat(folder_.Get(), &st) != 0) return base::FailErrno(errno, "stat folder");
    return ToOriginStat(st, device_);
  }

  base::Status ReadNames(const std::function<void(std::string_view)>& add) override {
    int const own = fcntl(folder_.Get(), F_DUPFD_CLOEXEC, 0);
    if (own < 0) return base::FailErrno(errno, "list folder");
    std::unique_ptr<DIR, int (*)(DIR*)> const stream(fdopendir(own), closedir);
    if (stream == nullptr) {
      int const error = errno;
      close(own);
      return base::FailErrno(error, "list folder");
    }
    for (;;) {
      errno = 0;
      dirent const* const entry = readdir(stream.get());
      if (entry == nullptr) break;
      // Not the array's length: some file systems have longer names than it.
      std::string_view const name(static_cast<const char*>(entry->d_name));
      if (name != "." && name != "..") add(name);
    }
    if (errno != 0) return base::FailErrno(errno, "list folder");
    return {};
  }

  base::Result<StatAnswer> Stat(std::string_view name) const override {
    std::string const terminated(name);
    struct stat st {};
    if (fstatat(folder_.Get(), terminated.c_str(), &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) !=
        0) {
      return base::FailErrno(errno, "stat " + terminated);
    }
    StatAnswer answer{.stat = ToOriginStat(st, device_), .target = {}};
    if (answer.stat.type == FileType::kSymlink) {
      char target[FolderListing::kTargetBytesMax + 1];
      ssize_t const length = readlinkat(folder_.Get(), terminated.c_str(), target, sizeof(target));
      if (length < 0) return base::FailErrno(errno, "readlink " + terminated);
      if (static_cast<size_t>(length) > FolderListing::kTargetBytesMax) {
        return base::FailErrno(ENAMETOOLONG, "readlink " + terminated);
      }
      answer.target.assign(target, static_cast<size_t>(length));
    }
    return answer;
  }

 private:
  const base::UniqueFd folder_;
  const uint64_t device_;
};

}  // namespace

base::Result<std::unique_ptr<DirectoryLister>> DirectoryLister::Make(base::UniqueFd source) {
  struct stat st {};
  if (fstat(source.Get(), &st) != 0) return base::FailErrno(errno, "stat source");
  return std::unique_ptr<DirectoryLister>(new DirectoryLister(std::move(source), st.st_dev));
}

base::Result<std::unique_ptr<OpenedFolder>> DirectoryLister::Open(const std::string& path) {
  auto folder = OpenBeneath(source_.Get(), path, O_RDONLY | O_DIRECTORY);
  if (!folder) return base::Fail(folder.error().code, std::move(folder.error().message));
  return std::make_unique<OpenedDirectory>(std::move(*folder), device_);
}

}  // namespace stokefs::cache
