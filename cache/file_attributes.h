// What a name of the dataset is, as the origin's stat says.
#pragma once

#include <cstdint>

#include "cache/ids.h"

namespace stokefs::cache {

// The values are kept on disk: append only.
enum class FileType : uint8_t {
  kRegular,
  kFolder,
  kSymlink,
  kFifo,
  kSocket,
  kCharDevice,
  kBlockDevice
};

inline constexpr uint8_t kFileTypeCount = 7;

// As the mount shows it. Times in ns since 1970.
struct FileAttributes {
  NodeId node;
  FileType type = FileType::kRegular;
  uint32_t permissions = 0;  // mode & 07777
  uint32_t user_id = 0, group_id = 0;
  uint32_t link_count = 1;
  uint64_t size_bytes = 0;
  uint64_t inode = 0;  // the origin's, mixed with its device where the origin has several
  int64_t mtime_ns = 0, ctime_ns = 0;
};

// As the origin has it.
struct OriginStat {
  FileType type = FileType::kRegular;
  uint16_t permissions = 0;  // mode & 07777
  uint32_t user_id = 0, group_id = 0;
  uint32_t link_count = 1;
  uint64_t device = 0;      // st_dev, or 0 for SOURCE's own, which may be another after a reboot
  uint64_t size_bytes = 0;  // of a link: the length of the text shown
  uint64_t inode = 0;       // st_ino
  int64_t mtime_ns = 0, ctime_ns = 0;

  bool operator==(const OriginStat&) const = default;
};

}  // namespace stokefs::cache
