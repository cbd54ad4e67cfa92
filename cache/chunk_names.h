// The names of chunk files: `<2 hex>/<16 hex>.chunk`, the folder being the id's low byte, so that
// files made one after another spread over 256 folders. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stokefs::cache {

enum class ChunkFileKind : uint8_t { kWhole, kUnfinished, kBad };

struct ChunkFileName {
  uint64_t id = 0;
  ChunkFileKind kind = ChunkFileKind::kWhole;
};

inline constexpr size_t kChunkFolderCount = 256;

// "00" to "ff".
std::string ChunkFolderName(size_t index);

inline size_t ChunkFolderOf(uint64_t id) { return id % kChunkFolderCount; }

// With the folder in front.
std::string ChunkFilePath(ChunkFileName name);

// What a file of folder `index` is; none for names that ChunkFilePath would not have made.
std::optional<ChunkFileName> ParseChunkFileName(size_t folder_index, std::string_view file_name);

}  // namespace stokefs::cache
