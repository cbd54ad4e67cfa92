#include "cache/open_files.h"

#include <gtest/gtest.h>

namespace stokefs::cache {
namespace {

OpenFiles::File File() { return std::make_shared<const base::ReadableFile>(); }

TEST(OpenFiles, KeepsTheLastUsed) {
  OpenFiles files(2);
  auto const first = File();
  files.Keep(1, first, 0);
  files.Keep(2, File(), 0);
  EXPECT_EQ(files.Find(1), first);  // so 2 is the oldest
  files.Keep(3, File(), 0);
  EXPECT_EQ(files.Count(), 2u);
  EXPECT_EQ(files.Find(2), nullptr);
  EXPECT_EQ(files.Find(1), first);
  EXPECT_NE(files.Find(3), nullptr);
}

TEST(OpenFiles, TheFirstOfTwoThatOpenedOneFileStays) {
  OpenFiles files(2);
  auto const first = File();
  files.Keep(1, first, 0);
  files.Keep(1, File(), 0);
  EXPECT_EQ(files.Count(), 1u);
  EXPECT_EQ(files.Find(1), first);
}

TEST(OpenFiles, WhatIsDroppedLivesOnlyWithItsReaders) {
  OpenFiles files(2);
  auto reader = File();
  std::weak_ptr<const base::ReadableFile> const watched = reader;
  files.Keep(1, reader, 0);
  files.Drop(1);
  EXPECT_EQ(files.Find(1), nullptr);
  EXPECT_FALSE(watched.expired());
  reader = nullptr;
  EXPECT_TRUE(watched.expired());
}

TEST(OpenFiles, AFileThatWasRemovedWhileItWasOpenedIsNotKept) {
  OpenFiles files(2);
  uint64_t const before = files.DropCount();
  files.Drop(1);
  files.Keep(1, File(), before);
  EXPECT_EQ(files.Count(), 0u);
  files.Keep(1, File(), files.DropCount());
  EXPECT_EQ(files.Count(), 1u);
}

TEST(OpenFiles, DroppingAllClosesAll) {
  OpenFiles files(10);
  std::weak_ptr<const base::ReadableFile> watched;
  {
    auto const file = File();
    watched = file;
    files.Keep(1, file, 0);
  }
  files.Keep(2, File(), 0);
  EXPECT_FALSE(watched.expired());
  files.DropAll();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(files.Count(), 0u);
}

}  // namespace
}  // namespace stokefs::cache
