// Paths below SOURCE that are remembered over a restart: what is pinned, what a warm-up is to
// fetch.
//
// The file, written whole and renamed:
//   list := "stokefs-paths 1 " checksum:16 hex digits "\n" (path "\0")*
// where the checksum is the XXH3-64 of all behind the line break.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stokefs::cache {

// None when there is no such file; EBADMSG when it is damaged.
base::Result<std::optional<std::vector<std::string>>> LoadPathList(const std::string& file);
base::Status SavePathList(const std::string& file, const std::vector<std::string>& paths);
base::Status RemovePathList(const std::string& file);  // one that is not there is fine

std::string EncodePathList(const std::vector<std::string>& paths);
base::Result<std::vector<std::string>> ParsePathList(std::string_view bytes);

// Whether `path` is `above` or lies below it; everything lies below "".
bool IsAtOrBelow(std::string_view path, std::string_view above);
// Sorted, without second ones and without those that lie below another.
std::vector<std::string> WithoutNested(std::vector<std::string> paths);

}  // namespace stokefs::cache
