// The entries of one folder: names, what they are, where links lead. Compact (64 bytes and the name
// for each), because a folder may hold a million.
//
// A plain value. Built in three steps: AddName for each, then for each index one of SetStat and
// Drop (distinct indices may be set by several threads at once), then Sort.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache/file_attributes.h"

namespace stokefs::cache {

class FolderListing {
 public:
  static constexpr size_t kNameBytesMax = 255;
  static constexpr size_t kTargetBytesMax = 4095;

  // A name that can stand in a folder: 1 to 255 bytes, no '/' or NUL, not "." or "..".
  static bool IsName(std::string_view name);

  size_t Count() const { return entries_.size(); }
  std::string_view Name(size_t index) const;
  std::string_view Target(size_t index) const;  // of a link; else empty
  const OriginStat& Stat(size_t index) const { return entries_[index].stat; }

  void AddName(std::string_view name);  // IsName
  void SetStat(size_t index, const OriginStat& stat) { entries_[index].stat = stat; }
  void Drop(size_t index) { entries_[index].dropped = true; }
  // At most kTargetBytesMax. Not while other threads are in here.
  void SetTarget(size_t index, std::string_view target);
  void Add(std::string_view name, const OriginStat& stat, std::string_view target = {});

  // Sorts by name (bytes), without the dropped and without second ones of a name.
  void Sort();

  OriginStat self;  // of the folder itself

 private:
  struct Entry {
    uint32_t name_offset = 0;
    uint32_t target_offset = 0;
    OriginStat stat;
    uint16_t target_bytes = 0;
    uint8_t name_bytes = 0;
    bool dropped = false;
  };

  std::vector<Entry> entries_;
  std::string text_;  // names and targets
};

}  // namespace stokefs::cache
