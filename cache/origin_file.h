// Reading one file of a plain directory in one version, or not at all.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "cache/origin_locator.h"

namespace stokefs::cache {

// How bytes are read from an open file; tests stand in between.
using ReadAtCall =
    std::function<base::Result<size_t>(int fd, std::span<std::byte> into, uint64_t offset)>;

// A file below a folder, opened without following links (open_beneath.h) and, where the owner's
// rights allow that, without touching its access time. What was read is of the expected version
// when, after all reads, Check still says so. Not thread-safe.
class OriginFileReader {
 public:
  // Waits until the version has settled. Errors: ESTALE it is another version or no regular file;
  // ENOENT; the origin's. `file.path` is not kept.
  static base::Result<OriginFileReader> Open(int source, const OriginFile& file);

  // Fills `into`. ESTALE when the file is shorter.
  base::Status Read(std::span<std::byte> into, uint64_t offset, const ReadAtCall& read_at);
  // ESTALE when the file is no longer of the version.
  base::Status Check() const;

 private:
  OriginFileReader(base::UniqueFd fd, const FileVersion& version)
      : fd_(std::move(fd)), version_(version) {}

  base::UniqueFd fd_;
  FileVersion version_;
};

FileVersion VersionOf(const struct stat& found);

// How long a version must rest before its times tell it from the next one. 0 for all but files that
// were changed just now. Pure; `wall_clock_ns` since 1970.
base::Duration UntilSettled(const FileVersion& version, int64_t wall_clock_ns);

}  // namespace stokefs::cache
