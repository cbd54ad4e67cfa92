#include "cache/node_table.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace stokefs::cache {

NodeTable::NodeTable(const OriginStat& root) {
  STOKEFS_CHECK(root.type == FileType::kFolder);
  AddNode(kRootNode, "", root, "");
}

size_t NodeTable::AttributeSetHash::operator()(const AttributeSet& set) const {
  uint64_t const words[] = {static_cast<uint64_t>(set.type) << 16 | set.permissions,
                            uint64_t{set.user_id} << 32 | set.group_id, set.link_count, set.device};
  return XXH3_64bits(words, sizeof(words));
}

uint32_t NodeTable::SetOf(const OriginStat& stat) {
  AttributeSet const set{.type = stat.type,
                         .permissions = stat.permissions,
                         .user_id = stat.user_id,
                         .group_id = stat.group_id,
                         .link_count = stat.link_count,
                         .device = stat.device};
  auto const [found, is_new] = set_indices_.try_emplace(set, static_cast<uint32_t>(sets_.size()));
  if (is_new) sets_.push_back(set);
  return found->second;
}

NodeId NodeTable::AddNode(NodeId parent, std::string_view name, const OriginStat& stat,
                          std::string_view target) {
  STOKEFS_CHECK(nodes_.size() < 0xFFFFFFF0u);
  STOKEFS_CHECK(target.size() == (stat.type == FileType::kSymlink ? stat.size_bytes : 0));
  NodeId const node{static_cast<uint32_t>(nodes_.size() + 1)};
  bool const is_folder = stat.type == FileType::kFolder;
  nodes_.PushBack({.size_bytes = stat.size_bytes,
                   .inode = stat.inode,
                   .mtime_ns = stat.mtime_ns,
                   .ctime_ns = stat.ctime_ns,
                   .parent = parent.value,
                   .text = text_.Add(name, target),
                   .set = SetOf(stat),
                   .folder = is_folder ? static_cast<uint32_t>(folders_.size()) : kNoFolder});
  if (is_folder) {
    Folder folder;
    folder.node = node.value;
    folders_.PushBack(std::move(folder));
    ++counts_.folders;
  } else if (stat.type == FileType::kRegular) {
    ++counts_.samples;
    counts_.sample_bytes += stat.size_bytes;
  }
  return node;
}

void NodeTable::SetStat(NodeId node, const OriginStat& stat) {
  Node& to = At(node);
  to.size_bytes = stat.size_bytes;
  to.inode = stat.inode;
  to.mtime_ns = stat.mtime_ns;
  to.ctime_ns = stat.ctime_ns;
  to.set = SetOf(stat);
}

// Its times and link count follow its entries, so they alone are no change of the folder.
void NodeTable::SetFolderStat(NodeId folder, const OriginStat& stat) {
  OriginStat const before = Stat(folder);
  bool const is_changed = before.permissions != stat.permissions ||
                          before.user_id != stat.user_id || before.group_id != stat.group_id;
  if (is_changed) ++tally_.changed;
  SetStat(folder, stat);
}

OriginStat NodeTable::Stat(NodeId node) const {
  Node const& of = At(node);
  AttributeSet const& set = sets_[of.set];
  return {.type = set.type,
          .permissions = set.permissions,
          .user_id = set.user_id,
          .group_id = set.group_id,
          .link_count = set.link_count,
          .device = set.device,
          .size_bytes = of.size_bytes,
          .inode = of.inode,
          .mtime_ns = of.mtime_ns,
          .ctime_ns = of.ctime_ns};
}

FileAttributes NodeTable::Attributes(NodeId node) const {
  OriginStat const stat = Stat(node);
  uint64_t const inode_and_device[] = {stat.inode, stat.device};
  return {.node = node,
          .type = stat.type,
          .permissions = stat.permissions,
          .user_id = stat.user_id,
          .group_id = stat.group_id,
          .link_count = stat.link_count,
          .size_bytes = stat.size_bytes,
          .inode = stat.device == 0 ? stat.inode
                                    : XXH3_64bits(inode_and_device, sizeof(inode_and_device)) | 1,
          .mtime_ns = stat.mtime_ns,
          .ctime_ns = stat.ctime_ns};
}

FileVersion NodeTable::Version(NodeId node) const {
  Node const& of = At(node);
  return {.size_bytes = of.size_bytes,
          .inode = of.inode,
          .mtime_ns = of.mtime_ns,
          .ctime_ns = of.ctime_ns};
}

std::string_view NodeTable::Target(NodeId node) const {
  if (Type(node) != FileType::kSymlink || At(node).size_bytes == 0) return {};
  return text_.Target(At(node).text);
}

std::string NodeTable::Path(NodeId node) const {
  size_t bytes = 0;
  for (NodeId at = node; at != kRootNode; at = Parent(at)) bytes += Name(at).size() + 1;
  if (bytes == 0) return {};
  std::string path(bytes - 1, '/');
  size_t end = path.size();
  for (NodeId at = node; at != kRootNode; at = Parent(at)) {
    std::string_view const name = Name(at);
    end -= name.size();
    name.copy(path.data() + end, name.size());
    if (end > 0) --end;
  }
  return path;
}

size_t NodeTable::IndexAfter(NodeId folder, std::string_view name) const {
  auto const& children = Children(folder);
  auto const behind = std::upper_bound(
      children.begin(), children.end(), name,
      [this](std::string_view wanted, uint32_t child) { return wanted < Name(NodeId{child}); });
  return static_cast<size_t>(behind - children.begin());
}

NodeId NodeTable::Find(NodeId folder, std::string_view name) const {
  size_t const index = IndexAfter(folder, name);
  if (index == 0) return kNoNode;
  NodeId const child{Children(folder)[index - 1]};
  return Name(child) == name ? child : kNoNode;
}

NodeId NodeTable::FindPath(std::string_view path) const {
  NodeId at = kRootNode;
  while (!path.empty()) {
    size_t const slash = std::min(path.find('/'), path.size());
    if (!IsFolder(at)) return kNoNode;
    at = Find(at, path.substr(0, slash));
    if (at == kNoNode) return kNoNode;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return at;
}

bool NodeTable::IsSame(NodeId node, const FolderListing& listing, size_t index) const {
  return Stat(node) == listing.Stat(index) && Target(node) == listing.Target(index);
}

bool NodeTable::Differs(NodeId folder, const FolderListing& sorted) const {
  auto const& children = Children(folder);
  if (!IsListed(folder) || children.size() != sorted.Count()) return true;
  if (sorted.self != Stat(folder)) return true;
  for (size_t i = 0; i < children.size(); ++i) {
    NodeId const child{children[i]};
    if (Name(child) != sorted.Name(i) || !IsSame(child, sorted, i)) return true;
  }
  return false;
}

void NodeTable::UpdateSelf(NodeId folder, const FolderListing& listing, ListingChange& change) {
  if (listing.self == Stat(folder)) return;
  SetFolderStat(folder, listing.self);
  change.self = true;
}

ListingChange NodeTable::Update(NodeId folder, const FolderListing& sorted) {
  STOKEFS_CHECK(IsAttached(folder));
  ListingChange change;
  bool const is_first = !IsListed(folder);
  UpdateSelf(folder, sorted, change);
  std::vector<uint32_t> const before = std::move(FolderAt(folder).children);
  std::vector<uint32_t> after;
  after.reserve(sorted.Count());
  auto old = before.begin();
  auto const drop_old = [&] {
    change.names.push_back(Name(NodeId{*old}));
    Detach(NodeId{*old});
    ++old;
  };
  for (size_t i = 0; i < sorted.Count(); ++i) {
    bool is_replaced = false;
    std::string_view const name = sorted.Name(i);
    while (old != before.end() && Name(NodeId{*old}) < name) drop_old();
    if (old != before.end() && Name(NodeId{*old}) == name) {
      NodeId const child{*old};
      if (IsSame(child, sorted, i)) {
        after.push_back(child.value);
        ++old;
        continue;
      }
      if (IsFolder(child) && sorted.Stat(i).type == FileType::kFolder) {
        SetFolderStat(child, sorted.Stat(i));
        change.folders_modified.push_back(child);
        after.push_back(child.value);
        ++old;
        continue;
      }
      Detach(child);
      ++old;
      is_replaced = true;
    }
    if (is_replaced) {
      --tally_.removed;
      ++tally_.changed;
    } else {
      ++tally_.added;
    }
    NodeId const added = AddNode(folder, name, sorted.Stat(i), sorted.Target(i));
    after.push_back(added.value);
    if (!is_first) change.names.push_back(Name(added));
  }
  while (old != before.end()) drop_old();
  Folder& to = FolderAt(folder);
  to.children = std::move(after);
  to.listed = true;
  if (is_first) ++counts_.folders_listed;
  if (is_first || change.Any()) ++change_count_;
  return change;
}

void NodeTable::Detach(NodeId node) {
  std::vector<NodeId> left{node};
  while (!left.empty()) {
    NodeId const at = left.back();
    left.pop_back();
    ++tally_.removed;
    if (!IsFolder(at)) {
      if (Type(at) != FileType::kRegular) continue;
      --counts_.samples;
      counts_.sample_bytes -= At(at).size_bytes;
      continue;
    }
    Folder& folder = FolderAt(at);
    folder.attached = false;
    --counts_.folders;
    if (folder.listed) --counts_.folders_listed;
    for (uint32_t child : folder.children) left.push_back(NodeId{child});
  }
}

size_t NodeTable::MemoryBytes() const {
  size_t bytes = nodes_.FootprintBytes() + folders_.FootprintBytes() + text_.MemoryBytes();
  for (size_t i = 0; i < folders_.size(); ++i) bytes += folders_[i].children.capacity() * 4;
  // Each set twice, and the hash table's own node and bucket pointers.
  return bytes + sets_.size() * (2 * sizeof(AttributeSet) + 32);
}

}  // namespace stokefs::cache
