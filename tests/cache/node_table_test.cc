#include "cache/node_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace stokefs::cache {
namespace {

OriginStat FolderStat(uint64_t inode = 1) {
  return {.type = FileType::kFolder, .permissions = 0755, .link_count = 2, .inode = inode};
}

// What the table should hold: names of a folder to stat, target and node.
struct Expected {
  OriginStat stat;
  std::string target;
  NodeId node;
};
using Model = std::map<std::string, std::map<std::string, Expected>>;  // by folder path

class RandomTree {
 public:
  explicit RandomTree(unsigned seed) : random_(seed), table_(FolderStat()) { model_[""]; }

  void Step() {
    auto folder = model_.begin();
    std::advance(folder, random_() % model_.size());
    std::string const path = folder->first;
    auto entries = folder->second;
    for (unsigned changes = random_() % 4; changes > 0; --changes) ChangeOne(entries);
    Apply(path, std::move(entries));
  }

  void Check() {
    TableCounts counts;
    for (auto const& [path, entries] : model_) {
      NodeId const folder = table_.FindPath(path);
      ASSERT_NE(folder, kNoNode) << path;
      ASSERT_TRUE(table_.IsFolder(folder) && table_.IsAttached(folder));
      ASSERT_EQ(table_.Path(folder), path);
      ++counts.folders;
      if (table_.IsListed(folder)) ++counts.folders_listed;
      ASSERT_EQ(table_.Children(folder).size(), entries.size());
      auto child = table_.Children(folder).begin();
      for (auto const& [name, expected] : entries) {
        NodeId const node{*child++};
        ASSERT_EQ(table_.Name(node), name);
        ASSERT_EQ(node, expected.node);
        ASSERT_EQ(table_.Stat(node), expected.stat);
        ASSERT_EQ(table_.Target(node), expected.target);
        ASSERT_EQ(table_.Find(folder, name), node);
        ASSERT_EQ(table_.Parent(node), folder);
        if (expected.stat.type != FileType::kRegular) continue;
        ++counts.samples;
        counts.sample_bytes += expected.stat.size_bytes;
      }
    }
    EXPECT_EQ(table_.Counts().folders, counts.folders);
    EXPECT_EQ(table_.Counts().folders_listed, counts.folders_listed);
    EXPECT_EQ(table_.Counts().samples, counts.samples);
    EXPECT_EQ(table_.Counts().sample_bytes, counts.sample_bytes);
    for (auto const& [node, stat] : removed_) ASSERT_EQ(table_.Stat(node), stat);
  }

 private:
  void ChangeOne(std::map<std::string, Expected>& entries) {
    std::string const name(1 + random_() % 2, static_cast<char>('a' + random_() % 8));
    if (random_() % 3 == 0) {
      entries.erase(name);
      return;
    }
    Expected& entry = entries[name];
    entry.stat.type = static_cast<FileType>(random_() % 3);
    entry.stat.permissions = static_cast<uint16_t>(random_() % 3);
    entry.stat.inode = random_() % 3;
    entry.target = entry.stat.type == FileType::kSymlink ? std::string(random_() % 3, 't') : "";
    entry.stat.size_bytes =
        entry.stat.type == FileType::kSymlink ? entry.target.size() : random_() % 100;
  }

  void Apply(const std::string& path, std::map<std::string, Expected> entries) {
    NodeId const folder = table_.FindPath(path);
    FolderListing listing;
    listing.self = table_.Stat(folder);
    for (auto const& [name, entry] : entries) listing.Add(name, entry.stat, entry.target);
    bool const differs = table_.Differs(folder, listing);
    bool const was_listed = table_.IsListed(folder);
    ListingChange const change = table_.Update(folder, listing);
    EXPECT_EQ(differs, !was_listed || change.Any());
    auto& before = model_[path];
    for (auto const& [name, old] : before) {
      auto const now = entries.find(name);
      bool const is_kept =
          now != entries.end() &&
          ((old.stat == now->second.stat && old.target == now->second.target) ||
           (old.stat.type == FileType::kFolder && now->second.stat.type == FileType::kFolder));
      if (is_kept) {
        now->second.node = old.node;
      } else {
        removed_.emplace_back(old.node, old.stat);
        if (old.stat.type == FileType::kFolder) Forget(Below(path, name));
        if (now != entries.end()) now->second.node = kNoNode;
      }
    }
    for (auto& [name, entry] : entries) {
      if (entry.node == kNoNode) entry.node = table_.Find(folder, name);
      if (entry.stat.type == FileType::kFolder) model_[Below(path, name)];
    }
    model_[path] = std::move(entries);
  }

  static std::string Below(const std::string& path, const std::string& name) {
    return path.empty() ? name : std::string(path).append("/").append(name);
  }

  void Forget(const std::string& path) {
    std::erase_if(model_, [&](const auto& entry) {
      return entry.first == path || entry.first.starts_with(Below(path, ""));
    });
  }

  std::mt19937 random_;
  NodeTable table_;
  Model model_;
  std::vector<std::pair<NodeId, OriginStat>> removed_;
};

TEST(NodeTable, AgreesWithAMapAfterRandomChanges) {
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomTree tree(seed);
  for (int i = 0; i < 1000; ++i) {
    tree.Step();
    tree.Check();
    if (::testing::Test::HasFatalFailure()) FAIL() << "step " << i;
  }
}

TEST(NodeTable, FileTakesNoMoreThanItsNameAndSixtyBytes) {
  NodeTable table(FolderStat());
  FolderListing listing;
  constexpr size_t kFiles = 100'000;
  size_t name_bytes = 0;
  for (size_t i = 0; i < kFiles; ++i) {
    std::string const name = std::to_string(10'000'000 + i).append(".JPEG");
    name_bytes += name.size();
    listing.Add(name, {.size_bytes = i, .inode = i, .mtime_ns = 1, .ctime_ns = 2});
  }
  listing.Sort();
  table.Update(kRootNode, listing);
  EXPECT_LE(table.MemoryBytes(), name_bytes + kFiles * 60 + (2u << 20));
}

TEST(NodeTable, FileOfAnotherDeviceShowsAnotherInode) {
  NodeTable table(FolderStat());
  FolderListing listing;
  listing.Add("far", {.device = 7, .inode = 42});
  listing.Add("near", {.inode = 42});
  table.Update(kRootNode, listing);
  EXPECT_EQ(table.Attributes(table.Find(kRootNode, "near")).inode, 42u);
  EXPECT_NE(table.Attributes(table.Find(kRootNode, "far")).inode, 42u);
  EXPECT_EQ(table.Version(table.Find(kRootNode, "far")).inode, 42u);
}

}  // namespace
}  // namespace stokefs::cache
