#include "hints/path_escape.h"

namespace stokefs::hints {

std::string EscapePath(std::string_view path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string word;
  word.reserve(path.size());
  for (size_t i = 0; i < path.size(); ++i) {
    auto const byte = static_cast<unsigned char>(path[i]);
    bool const is_plain = byte > 0x20 && byte != 0x7f && byte != '%' && !(byte == '#' && i == 0);
    if (is_plain) {
      word += path[i];
    } else {
      word += '%';
      word += kDigits[byte >> 4];
      word += kDigits[byte & 15];
    }
  }
  return word;
}

}  // namespace stokefs::hints
