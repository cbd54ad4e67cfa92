#include "cache/text_arena.h"

#include <cstring>

#include "base/check.h"

namespace stokefs::cache {

// name_bytes:u8 name target_bytes:u16 target; the last two are there only when there is a target.
uint32_t TextArena::Add(std::string_view name, std::string_view target) {
  STOKEFS_CHECK(name.size() <= 255 && target.size() <= 4095);
  size_t const bytes = 1 + name.size() + (target.empty() ? 0 : 2 + target.size());
  if (kSegmentBytes - used_ < bytes) {
    STOKEFS_CHECK(segments_.size() < (uint64_t{1} << 32) / kSegmentBytes);
    segments_.push_back(std::make_unique_for_overwrite<char[]>(kSegmentBytes));
    used_ = 0;
  }
  char* to = segments_.back().get() + used_;
  auto const where = static_cast<uint32_t>((segments_.size() - 1) * kSegmentBytes + used_);
  used_ += bytes;
  *to++ = static_cast<char>(name.size());
  std::memcpy(to, name.data(), name.size());
  if (!target.empty()) {
    to += name.size();
    auto const target_bytes = static_cast<uint16_t>(target.size());
    std::memcpy(to, &target_bytes, 2);
    std::memcpy(to + 2, target.data(), target.size());
  }
  return where;
}

std::string_view TextArena::Name(uint32_t where) const {
  char const* const from = segments_[where / kSegmentBytes].get() + where % kSegmentBytes;
  return {from + 1, static_cast<unsigned char>(*from)};
}

std::string_view TextArena::Target(uint32_t where) const {
  std::string_view const name = Name(where);
  uint16_t target_bytes = 0;
  std::memcpy(&target_bytes, name.data() + name.size(), 2);
  return {name.data() + name.size() + 2, target_bytes};
}

}  // namespace stokefs::cache
