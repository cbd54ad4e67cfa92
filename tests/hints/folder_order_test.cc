#include "hints/folder_order.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace stokefs::hints {
namespace {

using Paths = std::vector<std::string>;

Paths Ordered(const Paths& paths, std::string_view root, FolderRule rule) {
  Paths ordered;
  for (uint32_t const at : FolderOrder(paths, root, rule)) ordered.push_back(paths[at]);
  return ordered;
}

TEST(FolderOrder, ImageFolderSortsClassesThenFoldersThenFiles) {
  Paths const paths = {"t/b/1.png",     "t/a/z/9.png", "t/a/2.png", "t/a-b/3.png", "t/a/y.png",
                       "t/a/z-1/1.png", "t/top.png",   "u/a/1.png", "t/a/1.txt"};
  EXPECT_EQ(Ordered(paths, "t", FolderRule::kImageFolder),
            (Paths{"t/a/2.png", "t/a/y.png", "t/a/z/9.png", "t/a/z-1/1.png", "t/a-b/3.png",
                   "t/b/1.png"}));
}

TEST(FolderOrder, SortedListsGoByTheWholePath) {
  Paths const paths = {"a/2.png", "a-b/1.png", "top.PNG", "a/notes.txt"};
  EXPECT_EQ(Ordered(paths, "", FolderRule::kSortedImages),
            (Paths{"a-b/1.png", "a/2.png", "top.PNG"}));
  EXPECT_EQ(Ordered(paths, "", FolderRule::kSortedFiles),
            (Paths{"a-b/1.png", "a/2.png", "a/notes.txt", "top.PNG"}));
}

TEST(FolderOrder, ExtensionsAreTorchvisionsInAnyCase) {
  for (auto const* name :
       {"a.jpg", "a.JPEG", "a.png", "a.ppm", "a.bmp", "a.pgm", "a.tif", "a.TifF", "a.webp", ".png"})
    EXPECT_TRUE(HasImageExtension(name)) << name;
  for (auto const* name : {"a.gif", "png", "a.png.gz", "", "a.jp"})
    EXPECT_FALSE(HasImageExtension(name)) << name;
}

TEST(FolderOrder, ARootIsAFolderAndNoPrefixOfAName) {
  EXPECT_TRUE(FolderOrder(Paths{"train2/a/1.png"}, "train", FolderRule::kImageFolder).empty());
  EXPECT_TRUE(FolderOrder(Paths{"train"}, "train", FolderRule::kSortedFiles).empty());
}

TEST(CandidateRoots, AreTheCommonFoldersAboveTheClasses) {
  EXPECT_EQ(CandidateRoots(Paths{"d/train/n01/1.png", "d/train/n02/1.png"}),
            (Paths{"d/train", "d", ""}));
  EXPECT_EQ(CandidateRoots(Paths{"d/train/n01/1.png"}), (Paths{"d/train", "d", ""}));
  EXPECT_EQ(CandidateRoots(Paths{"d/train/n01/1.png", "d/val/n01/1.png"}), (Paths{"d", ""}));
  EXPECT_EQ(CandidateRoots(Paths{"train/1.png", "train2/1.png"}), (Paths{""}));
  EXPECT_EQ(CandidateRoots(Paths{"a/b/c/1.png", "a/2.png"}), (Paths{""}));
}

TEST(CandidateRoots, ThereAreNoneForFilesWithoutAClass) {
  EXPECT_TRUE(CandidateRoots({}).empty());
  EXPECT_TRUE(CandidateRoots(Paths{"1.png"}).empty());
  EXPECT_TRUE(CandidateRoots(Paths{"a/1.png", "2.png"}).empty());
}

}  // namespace
}  // namespace stokefs::hints
