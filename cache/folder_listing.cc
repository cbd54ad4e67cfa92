#include "cache/folder_listing.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace stokefs::cache {

bool FolderListing::IsName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
         name.find('/') == name.npos && name.find('\0') == name.npos;
}

std::string_view FolderListing::Name(size_t index) const {
  Entry const& entry = entries_[index];
  return std::string_view(text_).substr(entry.name_offset, entry.name_bytes);
}

std::string_view FolderListing::Target(size_t index) const {
  Entry const& entry = entries_[index];
  return std::string_view(text_).substr(entry.target_offset, entry.target_bytes);
}

void FolderListing::AddName(std::string_view name) {
  STOKEFS_CHECK(IsName(name));
  STOKEFS_CHECK(text_.size() <= std::numeric_limits<uint32_t>::max() - name.size());
  Entry entry;
  entry.name_offset = static_cast<uint32_t>(text_.size());
  entry.name_bytes = static_cast<uint8_t>(name.size());
  text_ += name;
  entries_.push_back(entry);
}

void FolderListing::SetTarget(size_t index, std::string_view target) {
  STOKEFS_CHECK(target.size() <= kTargetBytesMax);
  STOKEFS_CHECK(text_.size() <= std::numeric_limits<uint32_t>::max() - target.size());
  entries_[index].target_offset = static_cast<uint32_t>(text_.size());
  entries_[index].target_bytes = static_cast<uint16_t>(target.size());
  text_ += target;
}

void FolderListing::Add(std::string_view name, const OriginStat& stat, std::string_view target) {
  AddName(name);
  SetStat(entries_.size() - 1, stat);
  if (!target.empty()) SetTarget(entries_.size() - 1, target);
}

void FolderListing::Sort() {
  auto const name = [this](const Entry& entry) {
    return std::string_view(text_).substr(entry.name_offset, entry.name_bytes);
  };
  std::erase_if(entries_, [](const Entry& entry) { return entry.dropped; });
  std::sort(entries_.begin(), entries_.end(),
            [&](const Entry& a, const Entry& b) { return name(a) < name(b); });
  auto const same = [&](const Entry& a, const Entry& b) { return name(a) == name(b); };
  entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
}

}  // namespace stokefs::cache
