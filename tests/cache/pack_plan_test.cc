#include "cache/pack_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace stokefs::cache {
namespace {

constexpr uint64_t kExtent = 1u << 20;

void AddFile(PackFolder& folder, const std::string& name, uint64_t size_bytes, uint64_t inode = 1) {
  folder.listing.Add(name, {.size_bytes = size_bytes, .inode = inode, .mtime_ns = 5});
}

PackTree OneFolder(const std::vector<uint64_t>& sizes) {
  PackTree tree;
  tree.folders.push_back({});
  for (size_t i = 0; i < sizes.size(); ++i) AddFile(tree.folders[0], std::to_string(i), sizes[i]);
  tree.folders[0].listing.Sort();
  return tree;
}

TEST(PackPlan, EveryBlockIsInOneFileOnceAndKnowsItsSource) {
  std::vector<uint64_t> sizes(300, 1000);
  sizes.push_back(0);
  sizes.push_back(kExtent);
  sizes.push_back(kExtent + 1);
  sizes.push_back(130 * kExtent + 5);
  PackTree tree = OneFolder(sizes);
  tree.folders.push_back({.path = "f", .listing = {}});
  AddFile(tree.folders[1], "in", 7);
  tree.folders[1].listing.Add("link", {.type = FileType::kSymlink, .size_bytes = 1}, "x");
  ChunkLayoutOptions const layout{.chunk_bytes = 50'000, .chunk_samples = 1000};
  PackPlan const plan(tree, layout, kExtent);
  EXPECT_EQ(plan.SampleCount(), sizes.size() + 1);

  std::map<std::string, uint64_t> bytes;
  std::set<std::pair<SampleId, uint32_t>> seen;
  for (PlannedFile const& file : plan.files()) {
    ChunkHead const head = plan.HeadOf(file);
    EXPECT_TRUE(ParseChunkHead(EncodeChunkHead(head)));
    EXPECT_EQ(head.layout, LayoutTag(layout, kExtent));
    EXPECT_LE(head.file_bytes, kRunBytes + (1u << 20));
    for (size_t i = 0; i < head.entries.size(); ++i) {
      ChunkEntry const& entry = head.entries[i];
      EXPECT_TRUE(seen.insert({entry.sample, entry.extent}).second);
      OriginFile const source = plan.Source(file, i);
      EXPECT_EQ(entry.sample, MakeSampleId(source.path));
      EXPECT_EQ(entry.tag, TagOf(entry.sample, entry.extent, source.version));
      bytes[source.path] += entry.size_bytes;
    }
  }
  EXPECT_EQ(bytes.size(), sizes.size());  // all but the empty one, and the one in the folder
  EXPECT_EQ(bytes.at("f/in"), 7u);
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] > 0) {
      EXPECT_EQ(bytes.at(std::to_string(i)), sizes[i]);
    }
  }
}

TEST(PackPlan, ALargeFileIsCutIntoRunsOf64MiB) {
  PackTree const tree = OneFolder({130 * kExtent + 5});
  PackPlan const plan(tree, {}, kExtent);
  ASSERT_EQ(plan.files().size(), 3u);
  EXPECT_EQ(plan.files()[1].first_extent, 64u);
  EXPECT_EQ(plan.files()[1].extent_count, 64u);
  EXPECT_EQ(plan.files()[2].extent_count, 3u);
  ChunkHead const last = plan.HeadOf(plan.files()[2]);
  EXPECT_EQ(last.entries[2].extent, 130u);
  EXPECT_EQ(last.entries[2].size_bytes, 5u);
  EXPECT_EQ(last.id.bit_count, 64);
}

TEST(PackPlan, AnExtentOfMoreThanARunHasAFileOfItsOwn) {
  PackTree const tree = OneFolder({300u << 20});
  PackPlan const plan(tree, {}, 128u << 20);
  EXPECT_EQ(plan.files().size(), 3u);
}

TEST(PackPlan, MembersTellVersionsButNotBytes) {
  PackTree const one = OneFolder({10, 20});
  PackTree two = OneFolder({10});
  AddFile(two.folders[0], "1", 20, 2);  // another inode
  PackPlan const plan(one, {}, kExtent), other(two, {}, kExtent);
  ChunkHead head = plan.HeadOf(plan.files()[0]);
  SampleId const members = MembersOf(head);
  head.entries[0].digest = 77;
  EXPECT_EQ(MembersOf(head), members);
  EXPECT_NE(MembersOf(other.HeadOf(other.files()[0])), members);
  PackPlan const finer(one, {.chunk_bytes = 1}, kExtent);
  EXPECT_NE(MembersOf(finer.HeadOf(finer.files()[0])), members);
}

TEST(PackPlan, NothingToPackIsAPlanOfNoFiles) {
  PackTree const tree = OneFolder({0, 0});
  PackPlan const plan(tree, {}, kExtent);
  EXPECT_EQ(plan.SampleCount(), 2u);
  EXPECT_TRUE(plan.files().empty());
}

}  // namespace
}  // namespace stokefs::cache
