#include "tools/path_nesting.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/file.h"

namespace stokefs::tools {

base::Result<PathPlace> PathPlace::Of(const std::string& path, const MountTable& mounts) {
  PathPlace place;
  std::string found = "/";
  // One name at a time: those that do not exist would be plain folders, so ".." takes them back.
  for (size_t at = 1; at < path.size();) {
    size_t const end = std::min(path.find('/', at), path.size());
    std::string const name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (!place.missing_.empty()) {
      if (name == "..")
        place.missing_.resize(place.missing_.rfind('/'));
      else
        place.missing_ += "/" + name;
      continue;
    }
    std::string const next = (found == "/" ? "" : found) + "/" + name;
    std::unique_ptr<char, void (*)(void*)> const real(realpath(next.c_str(), nullptr), free);
    if (real)
      found = real.get();
    else if (errno == ENOENT)
      place.missing_ = "/" + name;
    else
      return base::FailErrno(errno, next);
  }
  place.canonical_ = (found == "/" && !place.missing_.empty() ? "" : found) + place.missing_;

  struct stat st {};
  base::UniqueFd folder(open(found.c_str(), O_PATH | O_CLOEXEC));
  if (!folder.Valid() || fstat(folder.Get(), &st) != 0) return base::FailErrno(errno, found);
  place.ancestors_.push_back({st.st_dev, st.st_ino});
  if (!S_ISDIR(st.st_mode)) {
    size_t const slash = found.rfind('/');
    folder =
        base::UniqueFd(open(slash == 0 ? "/" : found.substr(0, slash).c_str(), O_PATH | O_CLOEXEC));
    if (!folder.Valid() || fstat(folder.Get(), &st) != 0) return base::FailErrno(errno, found);
    place.ancestors_.push_back({st.st_dev, st.st_ino});
  }
  for (;;) {
    base::UniqueFd parent(openat(folder.Get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!parent.Valid() || fstat(parent.Get(), &st) != 0)
      return base::FailErrno(errno, "a folder above " + found);
    Identity const identity{st.st_dev, st.st_ino};
    if (identity == place.ancestors_.back()) break;  // the root is its own parent
    place.ancestors_.push_back(identity);
    folder = std::move(parent);
  }

  if (auto const mount = mounts.Holding(found)) {
    place.major_ = mount->major;
    place.minor_ = mount->minor;
    std::string const rest =
        mount->mount_point == "/" ? found : found.substr(mount->mount_point.size());
    place.in_file_system_ = (mount->root == "/" ? "" : mount->root) + rest + place.missing_;
    if (place.in_file_system_.empty()) place.in_file_system_ = "/";
    if (place.in_file_system_.size() > 1 && place.in_file_system_.back() == '/')
      place.in_file_system_.pop_back();
  }
  return place;
}

bool PathPlace::Is(const PathPlace& other) const {
  return exists() && other.exists() && ancestors_[0] == other.ancestors_[0];
}

bool PathPlace::IsAtOrBelow(const PathPlace& folder) const {
  if (folder.exists() &&
      std::find(ancestors_.begin(), ancestors_.end(), folder.ancestors_[0]) != ancestors_.end())
    return true;
  if (tools::IsAtOrBelow(canonical_, folder.canonical_)) return true;
  return !in_file_system_.empty() && major_ == folder.major_ && minor_ == folder.minor_ &&
         tools::IsAtOrBelow(in_file_system_, folder.in_file_system_);
}

}  // namespace stokefs::tools
