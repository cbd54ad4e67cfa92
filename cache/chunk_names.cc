#include "cache/chunk_names.h"

#include <charconv>

namespace stokefs::cache {
namespace {

constexpr size_t kIdDigits = 16;

std::string Hex(uint64_t value, size_t digits) {
  std::string text(digits, '0');
  for (size_t i = digits; i > 0; --i, value >>= 4) text[i - 1] = "0123456789abcdef"[value & 15];
  return text;
}

std::string_view EndingOf(ChunkFileKind kind) {
  switch (kind) {
    case ChunkFileKind::kWhole:
      return ".chunk";
    case ChunkFileKind::kUnfinished:
      return ".chunk.new";
    case ChunkFileKind::kBad:
      return ".chunk.bad";
  }
  return "";
}

}  // namespace

std::string ChunkFolderName(size_t index) { return Hex(index, 2); }

std::string ChunkFilePath(ChunkFileName name) {
  std::string path = ChunkFolderName(ChunkFolderOf(name.id)) + "/" + Hex(name.id, kIdDigits);
  return path.append(EndingOf(name.kind));
}

std::optional<ChunkFileName> ParseChunkFileName(size_t folder_index, std::string_view file_name) {
  if (file_name.size() < kIdDigits) return std::nullopt;
  ChunkFileName name;
  std::from_chars(file_name.data(), file_name.data() + kIdDigits, name.id, 16);
  for (auto kind : {ChunkFileKind::kWhole, ChunkFileKind::kUnfinished, ChunkFileKind::kBad}) {
    if (file_name.substr(kIdDigits) == EndingOf(kind)) name.kind = kind;
  }
  // Compares all of it, upper case and other folders included.
  bool const is_ours =
      ChunkFolderOf(name.id) == folder_index && ChunkFilePath(name).substr(3) == file_name;
  return is_ours ? std::optional(name) : std::nullopt;
}

}  // namespace stokefs::cache
