#include "cache/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string>
#include <utility>

namespace stokefs::cache {
namespace {

// The kernel takes PATH_MAX bytes with the NUL.
constexpr size_t kPieceBytesMax = PATH_MAX - 1;
// openat2 gives EAGAIN when a rename anywhere raced with a ".."; ours has none, so few are enough.
constexpr int kTriesMax = 16;

int OpenPiece(int folder, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  for (int i = 0;; ++i) {
    auto const fd = static_cast<int>(syscall(SYS_openat2, folder, path.c_str(), &how, sizeof(how)));
    if (fd >= 0 || (errno != EINTR && (errno != EAGAIN || i >= kTriesMax))) return fd;
  }
}

}  // namespace

base::Result<base::UniqueFd> OpenBeneath(int folder, std::string_view path, int flags) {
  base::UniqueFd reached;  // what `rest` is below, once the walk has left `folder`
  std::string_view rest = path;
  while (rest.size() > kPieceBytesMax) {
    size_t const slash = rest.rfind('/', kPieceBytesMax);
    if (slash == std::string_view::npos || slash == 0) {
      return base::FailErrno(ENAMETOOLONG, "open " + std::string(path));
    }
    int const from = reached.Valid() ? reached.Get() : folder;
    base::UniqueFd next(OpenPiece(from, std::string(rest.substr(0, slash)), O_PATH | O_DIRECTORY));
    if (!next.Valid()) return base::FailErrno(errno, "open " + std::string(path));
    reached = std::move(next);
    rest.remove_prefix(slash + 1);
  }
  int const from = reached.Valid() ? reached.Get() : folder;
  base::UniqueFd file(OpenPiece(from, rest.empty() ? "." : std::string(rest), flags));
  if (!file.Valid()) return base::FailErrno(errno, "open " + std::string(path));
  return file;
}

}  // namespace stokefs::cache
