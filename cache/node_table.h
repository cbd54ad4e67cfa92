// All names of the dataset in memory: what catalog.h promises, without threads, origin or disk.
//
// About 53 bytes a file and its name. Nodes are numbered from 1 (the root) and stay as they were
// when their name is removed or gets a new version. Not thread-safe: the catalog holds a lock.
// Invariants: a folder's children are sorted by name and have that folder as parent; a folder is
// attached when it can be reached from the root; counts are of what is attached.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/segmented_array.h"
#include "cache/file_attributes.h"
#include "cache/folder_listing.h"
#include "cache/ids.h"
#include "cache/origin_locator.h"
#include "cache/text_arena.h"

namespace stokefs::cache {

struct TableCounts {
  uint64_t folders = 0, folders_listed = 0;
  uint64_t samples = 0, sample_bytes = 0;  // regular files
};

// Entries of any kind, counted as they come and go: two of these tell what happened between.
struct ChangeTally {
  uint64_t added = 0;
  uint64_t changed = 0;  // a name that means another version, or a folder with other permissions
  uint64_t removed = 0;  // those below a removed folder too
};

// What a new listing changed. Names are views into the table, valid as long as it.
struct ListingChange {
  std::vector<std::string_view> names;   // added, removed, or meaning something else
  std::vector<NodeId> folders_modified;  // children whose attributes changed and nothing else
  bool self = false;                     // the folder's own attributes
  bool Any() const { return self || !names.empty() || !folders_modified.empty(); }
};

class NodeTable {
 public:
  explicit NodeTable(const OriginStat& root);

  // Of nodes. `IsKnown` comes first, `IsFolder` before what takes a folder.
  bool IsKnown(NodeId node) const { return node.value >= 1 && node.value <= nodes_.size(); }
  bool IsFolder(NodeId node) const { return At(node).folder != kNoFolder; }
  FileType Type(NodeId node) const { return sets_[At(node).set].type; }
  FileAttributes Attributes(NodeId node) const;
  OriginStat Stat(NodeId node) const;
  FileVersion Version(NodeId node) const;
  NodeId Parent(NodeId node) const { return NodeId{At(node).parent}; }
  std::string_view Name(NodeId node) const { return text_.Name(At(node).text); }
  std::string_view Target(NodeId node) const;  // empty unless a link
  std::string Path(NodeId node) const;         // below SOURCE; the root's is empty

  // Of folders.
  bool IsListed(NodeId folder) const { return FolderAt(folder).listed; }
  bool IsAttached(NodeId folder) const { return FolderAt(folder).attached; }
  const std::vector<uint32_t>& Children(NodeId folder) const { return FolderAt(folder).children; }
  NodeId Find(NodeId folder, std::string_view name) const;           // kNoNode
  size_t IndexAfter(NodeId folder, std::string_view name) const;     // of the first child behind it
  NodeId FindPath(std::string_view path) const;                      // kNoNode
  bool Differs(NodeId folder, const FolderListing& sorted) const;    // whether Update would change
  ListingChange Update(NodeId folder, const FolderListing& sorted);  // listed from now on

  // Folders in the order they were found, parents first: [0, FolderCount()).
  size_t FolderCount() const { return folders_.size(); }
  NodeId FolderNode(size_t index) const { return NodeId{folders_[index].node}; }

  size_t NodeCount() const { return nodes_.size(); }
  const TableCounts& Counts() const { return counts_; }
  uint64_t ChangeCount() const { return change_count_; }  // Updates that changed something
  const ChangeTally& Tally() const { return tally_; }     // since the table was made
  size_t MemoryBytes() const;

 private:
  static constexpr uint32_t kNoFolder = 0xFFFFFFFF;

  struct Node {
    uint64_t size_bytes;
    uint64_t inode;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint32_t parent;
    uint32_t text;
    uint32_t set;
    uint32_t folder;
  };
  static_assert(sizeof(Node) == 48);

  // What many nodes have in common.
  struct AttributeSet {
    FileType type;
    uint16_t permissions;
    uint32_t user_id, group_id, link_count;
    uint64_t device;
    bool operator==(const AttributeSet&) const = default;
  };
  struct AttributeSetHash {
    size_t operator()(const AttributeSet& set) const;
  };

  struct Folder {
    std::vector<uint32_t> children;
    uint32_t node = 0;
    bool listed = false;
    bool attached = true;
  };

  const Node& At(NodeId node) const { return nodes_[node.value - 1]; }
  Node& At(NodeId node) { return nodes_[node.value - 1]; }
  const Folder& FolderAt(NodeId folder) const { return folders_[At(folder).folder]; }
  Folder& FolderAt(NodeId folder) { return folders_[At(folder).folder]; }

  NodeId AddNode(NodeId parent, std::string_view name, const OriginStat& stat,
                 std::string_view target);
  void SetStat(NodeId node, const OriginStat& stat);
  void SetFolderStat(NodeId folder, const OriginStat& stat);
  uint32_t SetOf(const OriginStat& stat);
  void Detach(NodeId node);
  bool IsSame(NodeId node, const FolderListing& listing, size_t index) const;
  void UpdateSelf(NodeId folder, const FolderListing& listing, ListingChange& change);

  base::SegmentedArray<Node> nodes_;
  base::SegmentedArray<Folder> folders_;
  TextArena text_;
  std::vector<AttributeSet> sets_;
  std::unordered_map<AttributeSet, uint32_t, AttributeSetHash> set_indices_;
  TableCounts counts_;
  uint64_t change_count_ = 0;
  ChangeTally tally_;
};

}  // namespace stokefs::cache
