#include "cache/packed_dataset.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

#include "cache/directory_lister.h"
#include "cache/folder_scan.h"
#include "cache/packed_lister.h"
#include "tests/support/packed_source.h"

namespace stokefs::cache {
namespace {

using testing::FlipBit;
using testing::PackedSource;
using testing::ReadBytes;
using testing::WriteBytes;

std::shared_ptr<PackedDataset> OpenDataset(const PackedSource& packed) {
  auto dataset = PackedDataset::Open(packed.OpenOut());
  EXPECT_TRUE(dataset) << dataset.error().message;
  return std::move(*dataset);
}

int OpenError(const PackedSource& packed) {
  auto const dataset = PackedDataset::Open(packed.OpenOut());
  return dataset ? 0 : dataset.error().Errno();
}

void ExpectSameListing(const FolderListing& a, const FolderListing& b) {
  ASSERT_EQ(a.Count(), b.Count());
  for (size_t i = 0; i < a.Count(); ++i) {
    EXPECT_EQ(a.Name(i), b.Name(i));
    EXPECT_EQ(a.Stat(i), b.Stat(i)) << a.Name(i);
    EXPECT_EQ(a.Target(i), b.Target(i));
  }
  EXPECT_EQ(a.self, b.self);
}

TEST(PackedLister, EveryFolderIsListedAsTheSourceItself) {
  PackedSource packed;
  packed.source.File("a/b/c", "deep");
  packed.source.File("a/\xFF\n", "odd");
  packed.source.File("z");
  packed.source.Folder("empty");
  packed.source.Link("a/link", "b/c");
  for (int i = 0; i < 5000; ++i) packed.source.File("many/" + std::to_string(i), "");
  packed.Pack();
  PackedLister lister(OpenDataset(packed));
  auto const directory = DirectoryLister::Make(packed.source.Open());
  std::atomic<bool> const stopping{false};
  for (const char* const path : {"", "a", "a/b", "empty", "many"}) {
    SCOPED_TRACE(path);
    auto const ours = ScanFolder(lister, path, stopping);
    auto const theirs = ScanFolder(**directory, path, stopping);
    ASSERT_TRUE(ours) << ours.error().message;
    ASSERT_TRUE(theirs);
    ExpectSameListing(ours->listing, theirs->listing);
  }
  for (const char* const path : {"b", "a/b/c", "a/bb", "many/0"}) {
    auto const opened = lister.Open(path);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().Errno(), ENOENT);
  }
  auto const folder = lister.Open("a");
  ASSERT_TRUE(folder);
  EXPECT_EQ((*folder)->Stat("c").error().Errno(), ENOENT);
  EXPECT_EQ((*folder)->Stat("zzz").error().Errno(), ENOENT);
}

TEST(PackedLister, LinksIntoTheSourceAreRelative) {
  PackedSource packed;
  packed.source.File("data/file");
  packed.source.Folder("links");
  packed.source.Link("links/inside", packed.source.path() + "/data/file");
  packed.source.Link("links/outside", "/etc/passwd");
  packed.Pack();
  PackedLister lister(OpenDataset(packed));
  auto const folder = lister.Open("links");
  ASSERT_TRUE(folder);
  EXPECT_EQ((*folder)->Stat("inside")->target, "../data/file");
  EXPECT_EQ((*folder)->Stat("inside")->stat.size_bytes, 12u);
  EXPECT_EQ((*folder)->Stat("outside")->target, "/etc/passwd");
}

TEST(PackedDataset, AFolderThatIsNoneOrDamagedOrOfAnotherVersionIsRefused) {
  PackedSource packed;
  packed.source.File("a");
  std::filesystem::create_directories(packed.out());
  EXPECT_EQ(OpenError(packed), ENOENT);
  packed.Pack();
  EXPECT_EQ(OpenError(packed), 0);
  std::string const manifest = ReadBytes(packed / "manifest");
  std::string const index_file = packed.IndexFile();
  std::string const index = ReadBytes(index_file);

  FlipBit(packed / "manifest", 8 * 20);
  EXPECT_EQ(OpenError(packed), EBADMSG);
  WriteBytes(packed / "manifest", "");
  EXPECT_EQ(OpenError(packed), EBADMSG);
  std::string other_version = manifest;
  other_version[8] = 9;
  WriteBytes(packed / "manifest", other_version);
  EXPECT_EQ(OpenError(packed), EPROTONOSUPPORT);
  WriteBytes(packed / "manifest", manifest);

  WriteBytes(index_file, index.substr(0, index.size() - 1));
  EXPECT_EQ(OpenError(packed), EBADMSG);
  FlipBit(index_file, 3);
  EXPECT_EQ(OpenError(packed), EBADMSG);
  std::filesystem::remove(index_file);
  EXPECT_EQ(OpenError(packed), EBADMSG);
  WriteBytes(index_file, index);
  EXPECT_EQ(OpenError(packed), 0);
}

TEST(PackedDataset, AnyFlippedBitOfTheIndexIsNeverAWrongListing) {
  PackedSource packed;
  packed.source.File("a/1", "one");
  packed.source.File("a/2", "two");
  packed.source.Link("a/3", "1");
  packed.Pack();
  auto const right = OpenDataset(packed)->Known()->ReadFolder("a");
  ASSERT_TRUE(right);
  std::string const index_file = packed.IndexFile();
  std::string const good = ReadBytes(index_file);
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 1000; ++i) {
    std::string bad = good;
    // Two in three in the folders themselves, which are a small part of the file.
    size_t const range = i % 3 == 0 ? good.size() : std::min<size_t>(good.size(), 1000);
    size_t const bit = random() % (range * 8);
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    WriteBytes(index_file, bad);
    auto const dataset = PackedDataset::Open(packed.OpenOut());
    if (!dataset) {
      ASSERT_EQ(dataset.error().Errno(), EBADMSG);
      continue;
    }
    auto const listing = (*dataset)->Known()->ReadFolder("a");
    if (listing) {
      ExpectSameListing(*listing, *right);
    } else {
      ASSERT_EQ(listing.error().Errno(), EBADMSG) << bit;
    }
  }
}

TEST(PackedLister, DamageOfTheIndexIsAnErrorOfTheDisk) {
  PackedSource packed;
  packed.source.File("a/1", "one");
  packed.Pack();
  PackedLister lister(OpenDataset(packed));
  std::string const index_file = packed.IndexFile();
  FlipBit(index_file, 8 * 100);  // in the root's record
  auto const root = lister.Open("");
  ASSERT_FALSE(root);
  EXPECT_EQ(root.error().Errno(), EIO);
}

TEST(PackedDataset, ANewerEditionIsSeenAndADamagedOneIsNot) {
  PackedSource packed;
  packed.source.File("a", "1");
  packed.Pack();
  auto const dataset = OpenDataset(packed);
  auto const first = dataset->Newest();
  EXPECT_EQ(dataset->Newest(), first);

  packed.source.File("b", "2");
  std::string const digest = packed.Pack().digest;
  EXPECT_EQ(dataset->Known(), first);
  auto const second = dataset->Newest();
  EXPECT_EQ(second->manifest().Digest(), digest);
  EXPECT_EQ(dataset->Known(), second);
  EXPECT_EQ(first->ReadFolder("")->Count(), 1u);  // its file is open, though removed
  EXPECT_EQ(second->ReadFolder("")->Count(), 2u);

  FlipBit(packed / "manifest", 8 * 20);
  EXPECT_EQ(dataset->Newest(), second);
  std::filesystem::remove(packed / "manifest");
  EXPECT_EQ(dataset->Newest(), second);
}

}  // namespace
}  // namespace stokefs::cache
