#include "cache/shown_listing.h"

#include "cache/link_target.h"

namespace stokefs::cache {

ListingNotes ShowListing(std::string_view folder_path, const std::vector<std::string>& source_paths,
                         FolderListing& sorted) {
  ListingNotes notes;
  for (size_t i = 0; i < sorted.Count(); ++i) {
    if (folder_path.empty() && sorted.Name(i) == kControlName) {
      sorted.Drop(i);
      notes.control_name_hidden = true;
      continue;
    }
    if (sorted.Stat(i).type != FileType::kSymlink) continue;
    ShownLink const link = ShowLink(folder_path, sorted.Target(i), source_paths);
    if (link.leaves) notes.leaving_links.emplace_back(sorted.Name(i));
    if (link.text != sorted.Target(i)) sorted.SetTarget(i, link.text);
    OriginStat stat = sorted.Stat(i);
    stat.size_bytes = link.text.size();
    sorted.SetStat(i, stat);
  }
  if (notes.control_name_hidden) sorted.Sort();
  return notes;
}

}  // namespace stokefs::cache
