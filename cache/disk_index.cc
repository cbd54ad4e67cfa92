#include "cache/disk_index.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/check.h"

namespace stokefs::cache {
namespace {

constexpr uint64_t kOffsetUnit = 8;  // blocks start at multiples of it
constexpr size_t kTableCountMin = 1024;

}  // namespace

uint64_t NameOf(SampleId sample, uint32_t extent) {
  // The id is a hash already; the extents of one file are spread by the golden ratio.
  uint64_t const mixed = sample.low ^ std::rotl(sample.high, 32);
  return mixed ^ (uint64_t{extent} * 0x9E3779B97F4A7C15u);
}

size_t DiskIndex::HomeOf(uint64_t name) const {
  return (name * 0x9E3779B97F4A7C15u) >> (64 - std::countr_zero(table_.size()));
}

size_t DiskIndex::Search(BlockName block) const {
  if (table_.empty()) return kNone;
  for (size_t at = HomeOf(block.name); table_[at] != 0; at = (at + 1) & (table_.size() - 1)) {
    Block const& found = At(table_[at]);
    if (found.name == block.name && found.tag == block.tag) return at;
  }
  return kNone;
}

bool DiskIndex::HasName(uint64_t name) const {
  if (table_.empty()) return false;
  for (size_t at = HomeOf(name); table_[at] != 0; at = (at + 1) & (table_.size() - 1)) {
    if (At(table_[at]).name == name) return true;
  }
  return false;
}

void DiskIndex::Insert(Handle handle) {
  if ((handle_count_ + 1) * 10 > table_.size() * 7) Grow();
  size_t at = HomeOf(At(handle).name);
  while (table_[at] != 0) at = (at + 1) & (table_.size() - 1);
  table_[at] = handle;
  ++handle_count_;
}

// Moves back what the gap would cut off from its home (Knuth, vol. 3, 6.4, algorithm R).
void DiskIndex::Erase(size_t at) {
  size_t const mask = table_.size() - 1;
  table_[at] = 0;
  --handle_count_;
  for (size_t next = (at + 1) & mask; table_[next] != 0; next = (next + 1) & mask) {
    size_t const home = HomeOf(At(table_[next]).name);
    bool const stays = ((next - home) & mask) < ((next - at) & mask);
    if (stays) continue;
    table_[at] = table_[next];
    table_[next] = 0;
    at = next;
  }
}

void DiskIndex::Grow() {
  std::vector<Handle> const old = std::move(table_);
  table_.assign(std::max(kTableCountMin, old.size() * 2), 0);
  handle_count_ = 0;
  for (Handle handle : old) {
    if (handle != 0) Insert(handle);
  }
}

DiskFileNumber DiskIndex::AddFile(const DiskFile& file, std::span<const ChunkEntry> entries,
                                  OtherVersions others) {
  if (unused_.empty()) {
    unused_.push_back(static_cast<uint32_t>(files_.size()));
    files_.emplace_back();
  }
  uint32_t const number = unused_.back();
  unused_.pop_back();
  File& added = files_[number];
  STOKEFS_CHECK(!added.is_used);
  added.is_used = true;
  added.use = {.file = file, .blocks = static_cast<uint32_t>(entries.size())};
  added.blocks.reserve(entries.size());
  added.live.assign(entries.size(), true);
  added.marked.assign(entries.size(), true);
  for (ChunkEntry const& entry : entries) {
    STOKEFS_CHECK(entry.offset % kOffsetUnit == 0 && entry.offset / kOffsetUnit <= 0xFFFFFFFF);
    STOKEFS_CHECK(entry.size_bytes < kPinned);
    added.blocks.push_back({.name = NameOf(entry.sample, entry.extent),
                            .tag = entry.tag,
                            .digest = entry.digest,
                            .offset_words = static_cast<uint32_t>(entry.offset / kOffsetUnit),
                            .size_and_pin = entry.size_bytes});
  }
  for (uint32_t i = 0; i < entries.size(); ++i) {
    Block& block = files_[number].blocks[i];
    if (size_t const old = Search({block.name, block.tag}); old != kNone) {
      bool const was_pinned = (At(table_[old]).size_and_pin & kPinned) != 0;
      Kill(old);
      if (was_pinned) block.size_and_pin |= kPinned;
    }
    if (others == OtherVersions::kDie && !table_.empty()) {
      size_t at = HomeOf(block.name);
      while (table_[at] != 0) {
        if (At(table_[at]).name == block.name) {
          Kill(at);  // another one may have moved here
        } else {
          at = (at + 1) & (table_.size() - 1);
        }
      }
    }
    Insert(MakeHandle(number, i));
    uint32_t const size_bytes = block.size_and_pin & ~kPinned;
    bool const pinned = (block.size_and_pin & kPinned) != 0;
    DiskFileUse& use = files_[number].use;
    ++use.live_blocks;
    use.live_bytes += size_bytes;
    use.pinned_blocks += pinned ? 1 : 0;
    live_bytes_ += size_bytes;
    pinned_count_ += pinned ? 1 : 0;
  }
  return {number};
}

// The block leaves the table and counts in its file as dead.
void DiskIndex::Kill(size_t at) {
  Handle const handle = table_[at];
  File& file = files_[FileIn(handle)];
  Block& block = file.blocks[EntryIn(handle)];
  uint32_t const size_bytes = block.size_and_pin & ~kPinned;
  Erase(at);
  if ((block.size_and_pin & kPinned) != 0) {
    block.size_and_pin = size_bytes;
    --file.use.pinned_blocks;
    --pinned_count_;
  }
  file.live[EntryIn(handle)] = false;
  --file.use.live_blocks;
  file.use.live_bytes -= size_bytes;
  live_bytes_ -= size_bytes;
  if (file.use.live_blocks == 0) emptied_.push_back(FileIn(handle));
}

std::vector<DiskFileNumber> DiskIndex::TakeEmptied() {
  std::vector<DiskFileNumber> numbers;
  for (uint32_t const number : std::exchange(emptied_, {})) {
    File const& file = files_[number];
    bool const is_known =
        std::find(numbers.begin(), numbers.end(), DiskFileNumber{number}) != numbers.end();
    if (file.is_used && file.use.live_blocks == 0 && !is_known) numbers.push_back({number});
  }
  return numbers;
}

void DiskIndex::RemoveFile(DiskFileNumber number) {
  File& file = files_[number.value];
  STOKEFS_CHECK(file.is_used);
  for (uint32_t i = 0; i < file.blocks.size(); ++i) {
    if (!file.live[i]) continue;
    size_t const at = Search({file.blocks[i].name, file.blocks[i].tag});
    STOKEFS_CHECK(at != kNone && table_[at] == MakeHandle(number.value, i));
    Kill(at);
  }
  file = File();
  unused_.push_back(number.value);
}

DiskPlace DiskIndex::PlaceOf(Handle handle) const {
  Block const& block = At(handle);
  return {.number = {FileIn(handle)},
          .entry = EntryIn(handle),
          .offset = uint64_t{block.offset_words} * kOffsetUnit,
          .size_bytes = block.size_and_pin & ~kPinned,
          .digest = block.digest,
          .pinned = (block.size_and_pin & kPinned) != 0};
}

std::optional<DiskPlace> DiskIndex::Find(BlockName block) const {
  size_t const at = Search(block);
  if (at == kNone) return std::nullopt;
  return PlaceOf(table_[at]);
}

std::optional<DiskPlace> DiskIndex::Remove(BlockName block) {
  size_t const at = Search(block);
  if (at == kNone) return std::nullopt;
  DiskPlace const place = PlaceOf(table_[at]);
  Kill(at);
  return place;
}

void DiskIndex::ForgetMarks() {
  for (File& file : files_) file.marked.assign(file.blocks.size(), false);
}

void DiskIndex::Mark(BlockName block) {
  size_t const at = Search(block);
  if (at != kNone) files_[FileIn(table_[at])].marked[EntryIn(table_[at])] = true;
}

uint64_t DiskIndex::Sweep() {
  uint64_t count = 0;
  for (File& file : files_) {
    for (uint32_t i = 0; i < file.blocks.size(); ++i) {
      if (!file.live[i] || file.marked[i]) continue;
      Kill(Search({file.blocks[i].name, file.blocks[i].tag}));
      ++count;
    }
  }
  return count;
}

bool DiskIndex::SetPinned(BlockName block, bool pinned) {
  size_t const at = Search(block);
  if (at == kNone) return false;
  File& file = files_[FileIn(table_[at])];
  Block& found = file.blocks[EntryIn(table_[at])];
  bool const was_pinned = (found.size_and_pin & kPinned) != 0;
  if (was_pinned == pinned) return true;
  found.size_and_pin ^= kPinned;
  file.use.pinned_blocks += pinned ? 1 : -1;
  pinned_count_ += pinned ? 1 : -1;
  return true;
}

bool DiskIndex::Is(DiskFileNumber number, uint32_t directory, ChunkFileId id) const {
  if (number.value >= files_.size() || !files_[number.value].is_used) return false;
  DiskFile const& file = files_[number.value].use.file;
  return file.directory == directory && file.id == id;
}

std::vector<DiskFileNumber> DiskIndex::Files() const {
  std::vector<DiskFileNumber> numbers;
  for (uint32_t i = 0; i < files_.size(); ++i) {
    if (files_[i].is_used) numbers.push_back({i});
  }
  return numbers;
}

std::vector<DiskIndex::LiveBlock> DiskIndex::LiveBlocks(DiskFileNumber number) const {
  File const& file = files_[number.value];
  std::vector<LiveBlock> live;
  for (uint32_t i = 0; i < file.blocks.size(); ++i) {
    if (!file.live[i]) continue;
    live.push_back({.block = {file.blocks[i].name, file.blocks[i].tag},
                    .place = PlaceOf(MakeHandle(number.value, i))});
  }
  return live;
}

uint64_t DiskIndex::FootprintBytes() const {
  uint64_t bytes = table_.capacity() * sizeof(Handle) + files_.capacity() * sizeof(File);
  for (File const& file : files_) bytes += file.blocks.capacity() * sizeof(Block);
  return bytes;
}

}  // namespace stokefs::cache
