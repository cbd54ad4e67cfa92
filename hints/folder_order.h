// Folder indices: the place of each file in the list that a dataset class makes of a folder.
//
// kImageFolder is torchvision's ImageFolder (datasets/folder.py): classes are the root's
// subfolders, sorted; in each, os.walk's folders sorted by path and their files sorted by name; a
// file counts when its name, in lower case, ends in one of IMG_EXTENSIONS; files directly below the
// root and empty classes do not. Python sorts str by code point, which for UTF-8 is the order of
// the bytes; os.walk sorts whole paths, so "a-b" comes before "a/b" ('-' < '/'). The others are
// what scripts make by hand: every file, or every image, below the root, sorted by path.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stokefs::hints {

enum class FolderRule : uint8_t { kImageFolder, kSortedImages, kSortedFiles };

// Case does not matter. The whole list of torchvision.
bool HasImageExtension(std::string_view name);

// Places in `paths`, in the order of folder index. `paths`: files below SOURCE, '/' between
// components, in any order, each once; those not below `root` ("" is SOURCE itself) are left out.
std::vector<uint32_t> FolderOrder(std::span<const std::string> paths, std::string_view root,
                                  FolderRule rule);

// Folders that may be the root of what was read: common ancestors of all `paths` with at least one
// folder (the class) between them and each file. Deepest first; none when a path is no class's.
std::vector<std::string> CandidateRoots(std::span<const std::string> paths);

}  // namespace stokefs::hints
