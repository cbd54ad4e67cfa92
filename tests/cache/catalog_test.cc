#include "cache/catalog.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/support/catalog_mount.h"

namespace stokefs::cache {
namespace {

using testing::CatalogMount;
using testing::SourceTree;

TEST(Catalog, ScanFindsEveryNameAndItsAttributes) {
  SourceTree source;
  source.File("train/0/1.png", "12345");
  source.File("train/1/2.png", "");
  source.File("readme", "text");
  ASSERT_EQ(chmod((source / "readme").c_str(), 0), 0);
  CatalogMount mount(source);
  mount.StartAndComplete();
  EXPECT_EQ(mount.Names(kRootNode), (std::vector<std::string>{"readme", "train"}));
  EXPECT_EQ(mount.Names(mount.Find("train")), (std::vector<std::string>{"0", "1"}));
  auto const image = mount->Attributes(mount.Find("train/0/1.png"));
  ASSERT_TRUE(image);
  struct stat st {};
  ASSERT_EQ(stat((source / "train/0/1.png").c_str(), &st), 0);
  EXPECT_EQ(image->type, FileType::kRegular);
  EXPECT_EQ(image->size_bytes, 5u);
  EXPECT_EQ(image->inode, st.st_ino);
  EXPECT_EQ(image->mtime_ns, st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec);
  EXPECT_EQ(image->permissions, st.st_mode & 07777);
  EXPECT_EQ(image->user_id, st.st_uid);
  EXPECT_EQ(mount->Attributes(mount.Find("readme"))->permissions, 0u);
  auto const progress = mount->Progress();
  EXPECT_EQ(progress.folder_count, 4u);
  EXPECT_EQ(progress.folders_listed, 4u);
  EXPECT_EQ(progress.sample_count, 3u);
  EXPECT_EQ(progress.sample_bytes, 9u);
  EXPECT_EQ(progress.scan_errors, 0u);
  auto const summary = mount->Summary();
  ASSERT_TRUE(summary);
  EXPECT_EQ(summary->samples, 3u);
  EXPECT_EQ(summary->bytes, 9u);
  EXPECT_EQ(summary->chunks, 1u);
  EXPECT_EQ(summary->digest.size(), 32u);
}

TEST(Catalog, SamplesFollowEachOtherAsAWalkComesToThem) {
  SourceTree source;
  for (std::string const name : {"a/1", "a/2", "a.txt", "b/deep/er/3", "b/deep/4", "b/z", "c"}) {
    source.File(name, name);
  }
  source.File("b/empty", "");
  source.Folder("b/nothing");
  ASSERT_EQ(symlink("1", (source / "a/link").c_str()), 0);
  CatalogMount mount(source);
  EXPECT_TRUE(mount->SamplesAfter(kRootNode, 10).empty());  // not listed
  mount.StartAndComplete();
  std::vector<OrderedSample> expected;
  for (std::string const name : {"a/1", "a/2", "a.txt", "b/deep/4", "b/deep/er/3", "b/z", "c"}) {
    expected.push_back({mount.Find(name), name.size()});
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    std::vector<OrderedSample> const left(expected.begin() + static_cast<long>(i) + 1,
                                          expected.end());
    EXPECT_EQ(mount->SamplesAfter(expected[i].node, 100), left);
  }
  EXPECT_EQ(mount->SamplesAfter(expected[1].node, 2),
            (std::vector<OrderedSample>{expected[2], expected[3]}));
  EXPECT_TRUE(mount->SamplesAfter(NodeId{99}, 10).empty());
}

TEST(Catalog, AnswersAreTheDocumentedErrors) {
  SourceTree source;
  source.File("file");
  source.Folder("folder");
  CatalogMount mount(source);
  EXPECT_EQ(mount->Lookup(kRootNode, "file").error().Errno(), EAGAIN);
  mount.StartAndComplete();
  NodeId const file = mount.Find("file");
  EXPECT_EQ(mount->Lookup(kRootNode, "gone").error().Errno(), ENOENT);
  EXPECT_EQ(mount->Lookup(file, "x").error().Errno(), ENOTDIR);
  EXPECT_EQ(mount->Lookup(NodeId{99}, "x").error().Errno(), ENOENT);
  EXPECT_EQ(mount->Attributes(kNoNode).error().Errno(), ENOENT);
  EXPECT_EQ(mount.EnsureListed(file), ENOTDIR);
  EXPECT_EQ(mount.EnsureListed(NodeId{99}), ENOENT);
  EXPECT_EQ(mount->FileSize(file).value(), 1u);
  EXPECT_EQ(mount->FileSize(kRootNode).error().Errno(), EISDIR);
  EXPECT_EQ(mount->LinkTarget(file).error().Errno(), EINVAL);
  EXPECT_EQ(mount->LocateAtOrigin(kRootNode).error().Errno(), EINVAL);
  EXPECT_EQ(mount->Parent(file).value(), kRootNode);
  EXPECT_EQ(mount->Parent(kRootNode).value(), kRootNode);
}

TEST(Catalog, ListGoesOnBehindAnyEntry) {
  SourceTree source;
  std::vector<std::string> names;
  for (int i = 100; i < 300; ++i) {
    names.push_back(std::to_string(i));
    source.File(names.back());
  }
  CatalogMount mount(source);
  mount.StartAndComplete();
  EXPECT_EQ(mount.Names(kRootNode), names);
  NodeId const after = mount.Find("163");
  EXPECT_EQ(mount.Names(kRootNode, after),
            std::vector<std::string>(names.begin() + 64, names.end()));
  size_t visits = 0;
  ASSERT_TRUE(mount->List(kRootNode, kNoNode, [&](const CatalogEntry&) { return ++visits < 40; }));
  EXPECT_EQ(visits, 40u);
}

TEST(Catalog, FolderIsListedOnDemandWhileTheScanHangs) {
  SourceTree source;
  source.File("a/1");
  source.File("b/2");
  Catalog::Options options;
  options.scan_threads = 2;
  CatalogMount mount(source, options);
  mount.faults.Hang("a");
  mount->Start(nullptr);
  mount.faults.AwaitHung("a");
  EXPECT_EQ(mount.Names(mount.Find("b")), (std::vector<std::string>{"2"}));
  EXPECT_FALSE(mount->Summary());
  mount.faults.ReleaseAll();
  mount.AwaitComplete();
}

TEST(Catalog, HungFolderTimesOutAndThenFailsFastUntilItReturns) {
  SourceTree source;
  source.File("a/1");
  source.File("b/2");
  CatalogMount mount(source);
  mount.faults.Hang("a");
  mount->Start(nullptr);
  mount.faults.AwaitHung("a");
  NodeId const hung = mount.Find("a");
  std::promise<int> late;
  EXPECT_FALSE(mount->EnsureListed(
      hung, [&](base::Status status) { late.set_value(status ? 0 : status.error().Errno()); }));
  mount.clock.Advance(std::chrono::seconds(31));
  EXPECT_EQ(late.get_future().get(), ETIMEDOUT);
  EXPECT_EQ(mount.EnsureListed(hung), ETIMEDOUT);
  EXPECT_EQ(mount.Names(mount.Find("b")), (std::vector<std::string>{"2"}));
  mount.faults.ReleaseAll();
  mount.AwaitComplete();
  EXPECT_EQ(mount.Names(hung), (std::vector<std::string>{"1"}));
}

TEST(Catalog, UnreadableFolderGivesItsErrnoAndTheScanGoesOn) {
  SourceTree source;
  source.File("closed/1");
  source.File("open/2");
  CatalogMount mount(source);
  mount.faults.FailOpen("closed", EACCES);
  mount.StartAndComplete();
  EXPECT_EQ(mount->Progress().scan_errors, 1u);
  EXPECT_EQ(mount->Summary()->samples, 1u);
  NodeId const closed = mount.Find("closed");
  EXPECT_EQ(mount.EnsureListed(closed), EACCES);
  mount.faults.ReleaseAll();
  EXPECT_EQ(mount.Names(closed), (std::vector<std::string>{"1"}));
  mount.clock.Advance(std::chrono::seconds(2));
  testing::Await([&] { return mount->Summary()->samples == 2; });
}

TEST(Catalog, EntriesThatCannotBeStatedAreLeftOutAndCounted) {
  SourceTree source;
  source.File("bad");
  source.File("gone");
  source.File("good");
  CatalogMount mount(source);
  mount.faults.FailStat("bad", EIO);
  mount.faults.FailStat("gone", ENOENT);
  mount.StartAndComplete();
  EXPECT_EQ(mount.Names(kRootNode), (std::vector<std::string>{"good"}));
  EXPECT_EQ(mount->Progress().scan_errors, 1u);
}

TEST(Catalog, LinksAreShownRewrittenAndReportedWhenTheyLeave) {
  SourceTree source;
  source.File("data/file");
  source.Link("data/absolute", source / "data/file");
  source.Link("data/relative", "../data/file");
  source.Link("data/away", "/etc/passwd");
  CatalogMount mount(source);
  mount.StartAndComplete();
  auto const target = [&](const std::string& path) {
    return mount->LinkTarget(mount.Find(path)).value();
  };
  EXPECT_EQ(target("data/absolute"), "../data/file");
  EXPECT_EQ(target("data/relative"), "../data/file");
  EXPECT_EQ(target("data/away"), "/etc/passwd");
  EXPECT_EQ(mount->Attributes(mount.Find("data/absolute"))->size_bytes, 12u);
  EXPECT_TRUE(mount.JournalHas("data/away"));
  EXPECT_FALSE(mount.JournalHas("data/absolute"));
  EXPECT_EQ(mount->Summary()->samples, 1u);
}

TEST(Catalog, ControlNameOfTheOriginIsHiddenAtTheTopOnly) {
  SourceTree source;
  source.File(".stokefs/x");
  source.File("a/.stokefs");
  CatalogMount mount(source);
  mount.StartAndComplete();
  EXPECT_EQ(mount.Names(kRootNode), (std::vector<std::string>{"a"}));
  EXPECT_EQ(mount.Names(mount.Find("a")), (std::vector<std::string>{".stokefs"}));
  EXPECT_TRUE(mount.JournalHas(".stokefs"));
}

TEST(Catalog, HardLinksAreNodesOfTheirOwnWithOneInode) {
  SourceTree source;
  source.File("one");
  ASSERT_EQ(link((source / "one").c_str(), (source / "two").c_str()), 0);
  CatalogMount mount(source);
  mount.StartAndComplete();
  auto const one = mount->Attributes(mount.Find("one"));
  auto const two = mount->Attributes(mount.Find("two"));
  EXPECT_NE(one->node, two->node);
  EXPECT_EQ(one->inode, two->inode);
  EXPECT_EQ(one->link_count, 2u);
}

TEST(Catalog, AnyBytesMakeAName) {
  SourceTree source;
  std::vector<std::string> names;
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/' || byte == '.') continue;
    names.push_back(std::string(1, static_cast<char>(byte)));
    source.File(names.back());
  }
  std::string long_name;
  for (int i = 0; i < 255; ++i) long_name += static_cast<char>(i % 2 == 0 ? 0xFF : '\n');
  source.File(long_name);
  names.push_back(long_name);
  std::sort(names.begin(), names.end());
  CatalogMount mount(source);
  mount.StartAndComplete();
  EXPECT_EQ(mount.Names(kRootNode), names);
  EXPECT_NE(mount.Find(long_name), kNoNode);
}

TEST(Catalog, FoldersDeeperThanPathMaxAreScanned) {
  SourceTree source;
  std::string const name(255, 'd');
  base::UniqueFd at = source.Open();
  std::string path;
  for (int i = 0; i < 60; ++i) {
    ASSERT_EQ(mkdirat(at.Get(), name.c_str(), 0755), 0);
    at = base::UniqueFd(openat(at.Get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    path += name + "/";
  }
  base::UniqueFd const made(openat(at.Get(), "leaf", O_WRONLY | O_CREAT, 0644));
  CatalogMount mount(source);
  mount.StartAndComplete();
  EXPECT_EQ(mount->Progress().folder_count, 61u);
  NodeId const leaf = mount.Find(path + "leaf");
  ASSERT_NE(leaf, kNoNode);
  EXPECT_EQ(mount->LocateAtOrigin(leaf)->path, path + "leaf");
}

TEST(Catalog, HundredThousandFilesInOneFolder) {
  SourceTree source;
  source.Folder("big");
  base::UniqueFd const big(open((source / "big").c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(mknodat(big.Get(), std::to_string(i).c_str(), S_IFREG | 0644, 0), 0);
  }
  CatalogMount mount(source);
  mount.StartAndComplete();
  EXPECT_EQ(mount->Progress().sample_count, 100'000u);
  EXPECT_EQ(mount.Names(mount.Find("big")).size(), 100'000u);
}

TEST(Catalog, StopAnswersThoseWhoWait) {
  SourceTree source;
  source.File("a/1");
  CatalogMount mount(source);
  mount.faults.Hang("a");
  mount->Start(nullptr);
  mount.faults.AwaitHung("a");
  std::promise<int> answer;
  EXPECT_FALSE(mount->EnsureListed(mount.Find("a"), [&](base::Status status) {
    answer.set_value(status ? 0 : status.error().Errno());
  }));
  EXPECT_FALSE(mount->Stop(std::chrono::milliseconds(50)));
  EXPECT_EQ(answer.get_future().get(), EIO);
  // A real mount ends by _exit here; the test lets the thread go and waits for it.
  mount.faults.ReleaseAll();
  EXPECT_TRUE(mount->Stop(std::chrono::minutes(1)));
}

}  // namespace
}  // namespace stokefs::cache
