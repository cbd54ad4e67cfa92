// The text that a symbolic link shows in the mount. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stokefs::cache {

struct ShownLink {
  std::string text;
  bool leaves = false;  // leads out of SOURCE, as far as the text tells
};

// `folder_path`: where the link lies, below SOURCE. `target`: as the origin has it. `source_paths`:
// the absolute names of SOURCE. An absolute target inside SOURCE becomes relative to the link, so
// that it stays inside the mount; everything else is shown as it is. Only the text is looked at: a
// ".." behind a link to a folder may in truth lead elsewhere, which is the reader's own walk.
ShownLink ShowLink(std::string_view folder_path, std::string_view target,
                   const std::vector<std::string>& source_paths);

}  // namespace stokefs::cache
