// Where each block is on the local disks: block → file and place in it.
//
// Pure bookkeeping, all in memory: about 32 bytes a block and 11 of hash table. No lock (the disk
// tier's guards it), no I/O. A block has at most one place; of two the later one counts, and the
// earlier is dead: it still takes room in its file. Files are named by dense numbers, which are
// used again after RemoveFile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/chunk_directory.h"
#include "cache/chunk_format.h"
#include "cache/ids.h"

namespace stokefs::cache {

// A block of one version, by 128 bits of hash: `name` finds, `tag` (TagOf) proves.
struct BlockName {
  uint64_t name = 0;
  uint64_t tag = 0;

  auto operator<=>(const BlockName&) const = default;  // NOLINT(modernize-use-nullptr): see ids.h
};

// The `name` half of a block's name.
uint64_t NameOf(SampleId sample, uint32_t extent);

struct DiskFileNumber {
  uint32_t value = 0;

  auto operator<=>(const DiskFileNumber&) const = default;
};

struct DiskFile {
  uint32_t directory = 0;  // the tier's number of it
  ChunkFileId id;
  ChunkId chunk;
  uint64_t allocated_bytes = 0;
};

struct DiskFileUse {
  DiskFile file;
  uint32_t blocks = 0;  // that it was written with
  uint32_t live_blocks = 0;
  uint32_t pinned_blocks = 0;
  uint64_t live_bytes = 0;
};

struct DiskPlace {
  DiskFileNumber number;
  uint32_t entry = 0;  // in the order of the file's head
  uint64_t offset = 0;
  uint32_t size_bytes = 0;
  uint64_t digest = 0;
  bool pinned = false;
};

class DiskIndex {
 public:
  // `entries` as in the file's head. A block of another version under the same name is dead from
  // now on, if `kills_others`: the caller knows this version to be the newer.
  enum class OtherVersions : uint8_t { kStay, kDie };
  DiskFileNumber AddFile(const DiskFile& file, std::span<const ChunkEntry> entries,
                         OtherVersions others);
  void RemoveFile(DiskFileNumber number);  // and its blocks

  std::optional<DiskPlace> Find(BlockName block) const;
  // Whether any version of it is here.
  bool HasName(uint64_t name) const;
  // The block is dead from now on; its place until now.
  std::optional<DiskPlace> Remove(BlockName block);
  // Mark and sweep: what is neither marked nor added since ForgetMarks dies in Sweep, which says
  // how many that were.
  void ForgetMarks();
  void Mark(BlockName block);
  uint64_t Sweep();
  // False: not here.
  bool SetPinned(BlockName block, bool pinned);

  const DiskFileUse& Use(DiskFileNumber number) const { return files_[number.value].use; }
  // The file's present number, if it is still the one that had this id.
  bool Is(DiskFileNumber number, uint32_t directory, ChunkFileId id) const;
  std::vector<DiskFileNumber> Files() const;  // in no order
  // The files whose last block died since this was last asked, to be removed.
  std::vector<DiskFileNumber> TakeEmptied();

  struct LiveBlock {
    BlockName block;
    DiskPlace place;
  };
  std::vector<LiveBlock> LiveBlocks(DiskFileNumber number) const;

  uint64_t BlockCount() const { return handle_count_; }
  uint64_t BlockBytes() const { return live_bytes_; }
  uint64_t PinnedCount() const { return pinned_count_; }
  uint64_t FootprintBytes() const;

 private:
  struct Block {
    uint64_t name;
    uint64_t tag;
    uint64_t digest;
    uint32_t offset_words;  // offset / 8
    uint32_t size_and_pin;  // size, and kPinned
  };
  static_assert(sizeof(Block) == 32);
  static constexpr uint32_t kPinned = uint32_t{1} << 31;

  struct File {
    DiskFileUse use;
    bool is_used = false;
    std::vector<Block> blocks;
    std::vector<bool> live;
    std::vector<bool> marked;
  };
  // What the hash table holds: a file's number and an entry in it, never 0.
  using Handle = uint64_t;
  static Handle MakeHandle(uint32_t file, uint32_t entry) {
    return (uint64_t{file} << 32 | entry) + 1;
  }
  static uint32_t FileIn(Handle handle) { return static_cast<uint32_t>((handle - 1) >> 32); }
  static uint32_t EntryIn(Handle handle) { return static_cast<uint32_t>(handle - 1); }

  const Block& At(Handle handle) const { return files_[FileIn(handle)].blocks[EntryIn(handle)]; }
  size_t HomeOf(uint64_t name) const;
  // Where the block's handle is in the table; none: kNone.
  size_t Search(BlockName block) const;
  void Insert(Handle handle);
  void Erase(size_t at);
  void Kill(size_t at);
  void Grow();
  DiskPlace PlaceOf(Handle handle) const;

  static constexpr size_t kNone = ~size_t{0};

  std::vector<File> files_;
  std::vector<uint32_t> unused_;
  std::vector<uint32_t> emptied_;
  std::vector<Handle> table_;  // open addressing, linear; 0: free. A power of two
  uint64_t handle_count_ = 0;
  uint64_t live_bytes_ = 0;
  uint64_t pinned_count_ = 0;
};

}  // namespace stokefs::cache
