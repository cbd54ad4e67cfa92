// Catalog attributes as FUSE wants them.
#pragma once

#include <fuse_lowlevel.h>
#include <sys/stat.h>

#include <limits>

#include "cache/catalog.h"

namespace stokefs::fs {

// What the kernel keeps until told otherwise: about 31 years, in seconds.
inline constexpr double kForEver = 1e9;

// The symbolic link MNT/.stokefs: found by name, in no listing. Above every NodeId.
inline constexpr fuse_ino_t kControlLink = 1ull << 40;
inline constexpr char kControlLinkName[] = ".stokefs";

// kNoNode for what is no node of the catalog.
cache::NodeId NodeOf(fuse_ino_t inode);

struct stat StatOf(const cache::FileAttributes& attributes);
struct stat StatOfControlLink(size_t target_length);
fuse_entry_param EntryOf(const cache::FileAttributes& attributes);

}  // namespace stokefs::fs
