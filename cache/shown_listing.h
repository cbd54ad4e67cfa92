// What the mount shows of a listing of the origin. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cache/folder_listing.h"

namespace stokefs::cache {

// At the top of a mount this name is the link to its control files; the origin's is hidden.
inline constexpr std::string_view kControlName = ".stokefs";

struct ListingNotes {
  std::vector<std::string> leaving_links;  // names of links that lead out of SOURCE
  bool control_name_hidden = false;
};

// Rewrites the targets of links (link_target.h) and hides the control name. `sorted` stays sorted.
// Doing it again changes nothing.
ListingNotes ShowListing(std::string_view folder_path, const std::vector<std::string>& source_paths,
                         FolderListing& sorted);

}  // namespace stokefs::cache
