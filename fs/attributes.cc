#include "fs/attributes.h"

#include <unistd.h>

#include <algorithm>
#include <bit>

namespace stokefs::fs {
namespace {

mode_t TypeBits(cache::FileType type) {
  switch (type) {
    case cache::FileType::kRegular:
      return S_IFREG;
    case cache::FileType::kFolder:
      return S_IFDIR;
    case cache::FileType::kSymlink:
      return S_IFLNK;
    case cache::FileType::kFifo:
      return S_IFIFO;
    case cache::FileType::kSocket:
      return S_IFSOCK;
    case cache::FileType::kCharDevice:
      return S_IFCHR;
    case cache::FileType::kBlockDevice:
      return S_IFBLK;
  }
  return S_IFREG;
}

timespec TimeOf(int64_t ns) {
  int64_t const billion = 1'000'000'000;
  int64_t seconds = ns / billion;
  int64_t rest = ns % billion;
  if (rest < 0) {
    rest += billion;
    --seconds;
  }
  return {.tv_sec = seconds, .tv_nsec = rest};
}

// Readers that go by st_blksize (Python's buffered files do) then take a small file in one read:
// the file's size rounded up to a power of two, between a page and the kernel's largest READ, 1
// MiB.
blksize_t BlockSizeOf(uint64_t size_bytes) {
  return static_cast<blksize_t>(std::bit_ceil(std::clamp<uint64_t>(size_bytes, 4096, 1u << 20)));
}

}  // namespace

cache::NodeId NodeOf(fuse_ino_t inode) {
  if (inode > std::numeric_limits<uint32_t>::max()) return cache::kNoNode;
  return cache::NodeId{static_cast<uint32_t>(inode)};
}

struct stat StatOf(const cache::FileAttributes& attributes) {
  struct stat st {};
  st.st_ino = attributes.inode;
  st.st_mode = TypeBits(attributes.type) | attributes.permissions;
  st.st_nlink = attributes.link_count;
  st.st_uid = attributes.user_id;
  st.st_gid = attributes.group_id;
  st.st_size = static_cast<off_t>(attributes.size_bytes);
  st.st_blocks = static_cast<blkcnt_t>((attributes.size_bytes + 511) / 512);
  st.st_blksize = BlockSizeOf(attributes.size_bytes);
  st.st_mtim = TimeOf(attributes.mtime_ns);
  st.st_ctim = TimeOf(attributes.ctime_ns);
  st.st_atim = st.st_mtim;  // the origin's is not kept: reads here do not reach it
  return st;
}

struct stat StatOfControlLink(size_t target_length) {
  struct stat st {};
  st.st_ino = kControlLink;
  st.st_mode = S_IFLNK | 0777;
  st.st_nlink = 1;
  st.st_uid = geteuid();
  st.st_gid = getegid();
  st.st_size = static_cast<off_t>(target_length);
  st.st_blksize = 4096;
  return st;
}

fuse_entry_param EntryOf(const cache::FileAttributes& attributes) {
  fuse_entry_param entry{};
  entry.ino = attributes.node.value;
  entry.attr = StatOf(attributes);
  entry.attr_timeout = kForEver;
  entry.entry_timeout = kForEver;
  return entry;
}

}  // namespace stokefs::fs
