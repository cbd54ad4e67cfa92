#include "cache/packed_dataset.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "cache/origin_file.h"

namespace stokefs::cache {
namespace {

constexpr size_t kManifestBytesMax = 4096;
// A manifest may be replaced between reading it and opening its index.
constexpr int kOpenTriesMax = 3;

std::optional<FileVersion> LookAtManifest(int folder) {
  struct stat st {};
  if (fstatat(folder, kManifestName, &st, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return VersionOf(st);
}

}  // namespace

base::Result<FoundManifest> ReadPackedManifest(int folder) {
  base::UniqueFd const fd(
      openat(folder, kManifestName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd.Valid()) return base::FailErrno(errno, kManifestName);
  struct stat st {};
  if (fstat(fd.Get(), &st) != 0) return base::FailErrno(errno, kManifestName);
  if (!S_ISREG(st.st_mode)) return base::FailErrno(EBADMSG, "manifest: not a file");
  std::string bytes(kManifestBytesMax, '\0');
  auto const got = base::ReadAt(fd.Get(), std::as_writable_bytes(std::span(bytes)), 0);
  if (!got) return base::Wrap(got.error(), kManifestName);
  bytes.resize(*got);
  auto manifest = ParsePackedManifest(bytes);
  if (!manifest) return tl::unexpected<base::Error>(std::move(manifest.error()));
  return FoundManifest{.manifest = *manifest, .version = VersionOf(st)};
}

base::Result<std::unique_ptr<PackedDataset>> PackedDataset::Open(base::UniqueFd folder) {
  for (int tries = 1;; ++tries) {
    auto found = ReadPackedManifest(folder.Get());
    if (!found) return tl::unexpected<base::Error>(std::move(found.error()));
    auto index = PackedIndex::Open(folder.Get(), found->manifest);
    if (index) {
      return std::unique_ptr<PackedDataset>(
          new PackedDataset(std::move(folder), found->version, std::move(*index)));
    }
    bool const is_gone = index.error().code == std::errc::no_such_file_or_directory;
    if (is_gone && tries < kOpenTriesMax) continue;
    // A dataset without its index is damaged; ENOENT would say that it is none.
    if (is_gone) index.error().code = std::errc::bad_message;
    return tl::unexpected<base::Error>(std::move(index.error()));
  }
}

std::shared_ptr<const PackedIndex> PackedDataset::Known() const {
  base::MutexLock lock(mu_);
  return index_;
}

std::shared_ptr<const PackedIndex> PackedDataset::Newest() {
  auto const there = LookAtManifest(folder_.Get());
  {
    base::MutexLock lock(mu_);
    if (!there || *there == seen_) return index_;
  }
  auto const found = ReadPackedManifest(folder_.Get());
  if (!found) return Known();
  auto opened = PackedIndex::Open(folder_.Get(), found->manifest);
  base::MutexLock lock(mu_);
  if (!opened) return index_;
  seen_ = found->version;
  index_ = std::move(*opened);
  return index_;
}

}  // namespace stokefs::cache
