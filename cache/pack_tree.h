// All of a source, listed, for packing.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cache/folder_lister.h"
#include "cache/folder_listing.h"

namespace stokefs::cache {

struct PackFolder {
  std::string path;       // below SOURCE
  FolderListing listing;  // sorted; links as the mount of the source shows them (shown_listing.h)
};

struct PackTree {
  std::vector<PackFolder> folders;  // sorted by path; the root is the first
};

struct ScanTreeOptions {
  size_t threads = 16;
  std::vector<std::string> source_paths;  // absolute names of SOURCE, for links into it
};

// How many of the things that cannot be packed a message names.
inline constexpr size_t kNamedMax = 10;

// "a; b; c and 7 more" of the first lines of `count`.
std::string NameFirst(const std::vector<std::string>& lines, uint64_t count);

// Blocks. Anything that the origin will not tell is an error of the whole: its first ones are
// named. The code is that of the first.
base::Result<PackTree> ScanTree(FolderLister& lister, const ScanTreeOptions& options);

}  // namespace stokefs::cache
