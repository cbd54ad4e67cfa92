#include "cache/chunk_names.h"

#include <gtest/gtest.h>

#include <random>

namespace stokefs::cache {
namespace {

TEST(ChunkNames, EveryNameIsFoundAgain) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    for (auto kind : {ChunkFileKind::kWhole, ChunkFileKind::kUnfinished, ChunkFileKind::kBad}) {
      uint64_t const id = random();
      std::string const path = ChunkFilePath({.id = id, .kind = kind});
      EXPECT_EQ(path.substr(0, 3), ChunkFolderName(ChunkFolderOf(id)) + "/");
      auto const name = ParseChunkFileName(ChunkFolderOf(id), path.substr(3));
      ASSERT_TRUE(name) << path;
      EXPECT_EQ(name->id, id);
      EXPECT_EQ(name->kind, kind);
    }
  }
}

TEST(ChunkNames, LooksAsDocumented) {
  EXPECT_EQ(ChunkFilePath({.id = 0x0123456789abcdef}), "ef/0123456789abcdef.chunk");
  EXPECT_EQ(ChunkFilePath({.id = 1, .kind = ChunkFileKind::kUnfinished}),
            "01/0000000000000001.chunk.new");
  EXPECT_EQ(ChunkFilePath({.id = 2, .kind = ChunkFileKind::kBad}), "02/0000000000000002.chunk.bad");
}

TEST(ChunkNames, FilesMadeOneAfterAnotherLieInManyFolders) {
  EXPECT_NE(ChunkFolderOf(1), ChunkFolderOf(2));
  EXPECT_EQ(ChunkFolderOf(1), ChunkFolderOf(1 + kChunkFolderCount));
}

TEST(ChunkNames, OtherNamesAreNotOurs) {
  for (const char* name :
       {"", "readme", "0123456789abcdef", "0123456789abcdef.chunk.old", "0123456789ABCDEF.chunk",
        "0123456789abcdeg.chunk", "00123456789abcdef.chunk", "123456789abcdef.chunk",
        "-123456789abcdef.chunk", " 123456789abcdef.chunk", "0123456789abcdef.chunk.new2"}) {
    EXPECT_FALSE(ParseChunkFileName(0xef, name)) << name;
  }
  EXPECT_TRUE(ParseChunkFileName(0xef, "0123456789abcdef.chunk"));
  EXPECT_FALSE(ParseChunkFileName(0xee, "0123456789abcdef.chunk"));  // another folder's
}

}  // namespace
}  // namespace stokefs::cache
