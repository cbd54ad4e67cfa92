#include "cache/ids.h"

#include <gtest/gtest.h>

namespace stokefs::cache {
namespace {

TEST(SampleId, IsTheXxh3OfThePathForAllTimes) {
  SampleId const id = MakeSampleId("train/0/1.png");
  EXPECT_EQ(id, MakeSampleId(std::string_view("train/0/1.png\0x", 13)));
  EXPECT_NE(id, MakeSampleId("train/0/1.pnG"));
  EXPECT_NE(id, MakeSampleId("train/0/1.png/"));
}

TEST(SampleId, OfTheEmptyPathIsXxh3sDocumentedValue) {
  SampleId const id = MakeSampleId("");
  EXPECT_EQ(id.high, 0x99AA06D3014798D8u);
  EXPECT_EQ(id.low, 0x6001C324468D497Fu);
}

TEST(BlockKey, NeighboursHashApart) {
  BlockKeyHash const hash;
  EXPECT_NE(hash({NodeId{1}, 0}), hash({NodeId{1}, 1}));
  EXPECT_NE(hash({NodeId{1}, 0}), hash({NodeId{2}, 0}));
}

}  // namespace
}  // namespace stokefs::cache
