#include "cache/chunk_ids.h"

#include <gtest/gtest.h>

#include <set>

#include "cache/chunk_names.h"

namespace stokefs::cache {
namespace {

TEST(ChunkIds, NeverGivesOneTwiceAndKnowsItsOwn) {
  ChunkIds ids;
  std::set<uint64_t> given;
  for (int i = 0; i < 1000; ++i) {
    if (i % 100 == 99) ids.StartAnew();
    uint64_t const id = ids.Next();
    EXPECT_TRUE(given.insert(id).second);
  }
  for (uint64_t id : given) EXPECT_TRUE(ids.IsOurs(id));  // also of earlier draws
}

TEST(ChunkIds, AnotherStartHasOthers) {
  ChunkIds first, second;
  EXPECT_FALSE(first.IsOurs(second.Next()));
  EXPECT_FALSE(second.IsOurs(first.Next()));
}

TEST(ChunkIds, FilesMadeOneAfterAnotherLieInDifferentFolders) {
  ChunkIds ids;
  std::set<size_t> folders;
  for (size_t i = 0; i < kChunkFolderCount; ++i) folders.insert(ChunkFolderOf(ids.Next()));
  EXPECT_EQ(folders.size(), kChunkFolderCount);
}

TEST(ChunkIds, DrawsAnewWhenACountIsUsedUp) {
  ChunkIds ids;
  uint64_t const first = ids.Next();
  uint64_t last = 0;
  for (uint64_t i = 0; i < 1u << 24; ++i) last = ids.Next();
  EXPECT_NE(first >> 24, last >> 24);
  EXPECT_TRUE(ids.IsOurs(first));
  EXPECT_TRUE(ids.IsOurs(last));
}

}  // namespace
}  // namespace stokefs::cache
