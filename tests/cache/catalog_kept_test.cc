// A catalog that was kept is loaded without a listing, or, damaged in any way, rebuilt.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/support/catalog_mount.h"

namespace stokefs::cache {
namespace {

using testing::CatalogMount;
using testing::SourceTree;

class CatalogKeptTest : public ::testing::Test {
 protected:
  CatalogKeptTest() {
    for (int folder = 0; folder < 20; ++folder) {
      for (int file = 0; file < 50; ++file) {
        source_.File("train/" + std::to_string(folder) + "/" + std::to_string(file) + ".png",
                     std::string(static_cast<size_t>(file), 'x'));
      }
    }
    source_.Link("link", source_ / "train/0/1.png");
    source_.Link("away", "/elsewhere");
    options_.folder = folder_.path();
    options_.rescan = false;
  }

  std::string KeptPath() const { return options_.folder + "/catalog"; }
  bool IsKept() const { return access(KeptPath().c_str(), F_OK) == 0; }

  void KeepOne() {
    CatalogMount mount(source_, options_);
    mount.StartAndComplete();
    testing::Await([&] { return IsKept(); });
    digest_ = mount->Summary()->digest;
  }
  std::string ReadKept() const { return base::ReadFile(KeptPath(), 64u << 20).value(); }
  void WriteKept(const std::string& bytes) {
    ASSERT_TRUE(base::WriteFileAtomically(KeptPath(), bytes));
  }
  // Opens again; whatever is on disk, the catalog must end up right. True: it was loaded.
  bool IsLoadedAndRight() {
    CatalogMount mount(source_, options_);
    mount.StartAndComplete();
    EXPECT_EQ(mount->Summary()->digest, digest_);
    EXPECT_EQ(mount->Progress().sample_count, 1000u);
    EXPECT_EQ(mount.Names(mount.Find("train/7")).size(), 50u);
    EXPECT_EQ(mount->LinkTarget(mount.Find("link")).value(), "train/0/1.png");
    bool const is_loaded = mount->Progress().loaded;
    if (is_loaded) {
      // One for the root's attributes.
      EXPECT_EQ(mount.faults.OpenCount(), 1u);
      EXPECT_TRUE(mount.JournalHas("link leads out of the source: away"));
    } else {
      EXPECT_TRUE(mount.JournalHas("kept catalog is")) << mount.journal->Lines();
      testing::Await([&] { return IsKept(); });
    }
    return is_loaded;
  }

  SourceTree source_;
  testing::TempDir folder_;
  Catalog::Options options_;
  std::string digest_;
};

TEST_F(CatalogKeptTest, SecondOpenNeedsNoListing) {
  KeepOne();
  EXPECT_TRUE(IsLoadedAndRight());
  EXPECT_TRUE(IsLoadedAndRight());
}

TEST_F(CatalogKeptTest, ListingAskedForWhileTheLoadRunsWaitsForIt) {
  KeepOne();
  CatalogMount mount(source_, options_);
  std::promise<bool> answer;
  EXPECT_FALSE(mount->EnsureListed(
      kRootNode, [&](base::Status status) { answer.set_value(status.has_value()); }));
  EXPECT_EQ(mount->Progress().state, CatalogState::kLoading);
  mount->Start(nullptr);
  EXPECT_TRUE(answer.get_future().get());
  EXPECT_EQ(mount.faults.OpenCount(), 1u);
}

TEST_F(CatalogKeptTest, ListingAskedForIsMadeWhenTheLoadFails) {
  KeepOne();
  WriteKept("x");
  CatalogMount mount(source_, options_);
  std::promise<bool> answer;
  EXPECT_FALSE(mount->EnsureListed(
      kRootNode, [&](base::Status status) { answer.set_value(status.has_value()); }));
  mount->Start(nullptr);
  EXPECT_TRUE(answer.get_future().get());
}

TEST_F(CatalogKeptTest, AllAttributesComeBack) {
  ASSERT_EQ(chmod((source_ / "train/0/1.png").c_str(), 04751), 0);
  KeepOne();
  CatalogMount fresh(source_);
  fresh.StartAndComplete();
  CatalogMount loaded(source_, options_);
  loaded.StartAndComplete();
  ASSERT_TRUE(loaded->Progress().loaded);
  for (std::string const path : {"train", "train/0", "train/0/1.png", "link", "away"}) {
    auto const is = loaded->Attributes(loaded.Find(path)).value();
    auto const was = fresh->Attributes(fresh.Find(path)).value();
    EXPECT_EQ(is.type, was.type);
    EXPECT_EQ(is.permissions, was.permissions);
    EXPECT_EQ(is.user_id, was.user_id);
    EXPECT_EQ(is.group_id, was.group_id);
    EXPECT_EQ(is.link_count, was.link_count);
    EXPECT_EQ(is.size_bytes, was.size_bytes);
    EXPECT_EQ(is.inode, was.inode);
    EXPECT_EQ(is.mtime_ns, was.mtime_ns);
    EXPECT_EQ(is.ctime_ns, was.ctime_ns);
  }
}

TEST_F(CatalogKeptTest, BigFolderIsKeptInParts) {
  source_.Folder("big");
  base::UniqueFd const big(open((source_ / "big").c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_EQ(mknodat(big.Get(), std::to_string(i).c_str(), S_IFREG | 0644, 0), 0);
  }
  KeepOne();
  CatalogMount mount(source_, options_);
  mount.StartAndComplete();
  EXPECT_TRUE(mount->Progress().loaded);
  EXPECT_EQ(mount.Names(mount.Find("big")).size(), 10'000u);
}

TEST_F(CatalogKeptTest, OtherSourceOrLayoutIsNotUsed) {
  KeepOne();
  options_.layout.chunk_samples = 7;
  {
    CatalogMount mount(source_, options_);
    mount.StartAndComplete();
    EXPECT_FALSE(mount->Progress().loaded);
    EXPECT_NE(mount->Summary()->digest, digest_);
  }
  options_.layout = {};
  SourceTree other;
  other.File("only");
  CatalogMount mount(other, options_);
  mount.StartAndComplete();
  EXPECT_FALSE(mount->Progress().loaded);
  EXPECT_EQ(mount->Progress().sample_count, 1u);
}

TEST_F(CatalogKeptTest, FlippedBitsAreNeverBelieved) {
  KeepOne();
  std::string const good = ReadKept();
  unsigned const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  size_t loaded = 0;
  constexpr size_t kRounds = 40;
  for (size_t round = 0; round < kRounds; ++round) {
    std::string bad = good;
    // The first rounds hit LMDB's own pages for sure.
    size_t const at = round < 10 ? random() % 8192 : random() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << random() % 8));
    WriteKept(bad);
    if (IsLoadedAndRight()) ++loaded;  // the bit was in a page that is not in use
    if (HasFailure()) FAIL() << "byte " << at;
  }
  EXPECT_LT(loaded, kRounds);
}

TEST_F(CatalogKeptTest, TruncatedFilesAreRebuilt) {
  KeepOne();
  std::string const good = ReadKept();
  for (size_t left :
       {size_t{0}, size_t{1}, size_t{4096}, size_t{8192}, good.size() / 2, good.size() - 4096}) {
    WriteKept(good.substr(0, left));
    EXPECT_FALSE(IsLoadedAndRight()) << left;
    EXPECT_EQ(access((KeptPath() + ".damaged").c_str(), F_OK), 0);
  }
}

TEST_F(CatalogKeptTest, FileThatIsNoCatalogIsRebuilt) {
  KeepOne();
  WriteKept(std::string(1 << 20, 'x'));
  EXPECT_FALSE(IsLoadedAndRight());
}

TEST_F(CatalogKeptTest, HalfWrittenCatalogOfACrashIsIgnored) {
  ASSERT_TRUE(base::WriteFileAtomically(KeptPath() + ".new", "half"));
  KeepOne();
  EXPECT_NE(access((KeptPath() + ".new").c_str(), F_OK), 0);
  EXPECT_TRUE(IsLoadedAndRight());
}

TEST_F(CatalogKeptTest, UnusableFolderIsToldAndNothingElse) {
  ASSERT_TRUE(base::WriteFileAtomically(folder_ / "file", "x"));
  options_.folder = folder_ / "file";
  CatalogMount mount(source_, options_);
  mount.StartAndComplete();
  testing::Await([&] { return mount.JournalHas("catalog is not kept"); });
  EXPECT_EQ(mount->Progress().sample_count, 1000u);
}

TEST_F(CatalogKeptTest, VerifyTellsSoundFromDamagedAndTheDamagedIsMadeAnew) {
  using KeptState = Catalog::KeptState;
  CatalogMount mount(source_, options_);
  EXPECT_EQ(mount->VerifyKept()->state, KeptState::kNone);
  mount.StartAndComplete();
  testing::Await([&] { return IsKept(); });
  digest_ = mount->Summary()->digest;
  EXPECT_EQ(mount->VerifyKept()->state, KeptState::kSound);
  std::string const whole = ReadKept();
  std::mt19937_64 random(7);
  for (int i = 0; i < 20; ++i) {
    std::string bytes = whole;
    if (i % 2 == 0) {
      bytes.resize(random() % bytes.size());
    } else {
      for (int flips = 0; flips < 8; ++flips) bytes[random() % bytes.size()] ^= 0x5A;
    }
    WriteKept(bytes);
    auto const report = mount->VerifyKept();
    ASSERT_TRUE(report) << report.error().message;
    if (report->state == KeptState::kSound) continue;  // pages that nothing refers to
    EXPECT_EQ(report->state, KeptState::kDamaged);
    EXPECT_FALSE(report->damage.empty());
    testing::Await([&] { return IsKept(); });
    EXPECT_EQ(mount->VerifyKept()->state, KeptState::kSound);
  }
  EXPECT_TRUE(mount.JournalHas("kept catalog is damaged"));
}

TEST_F(CatalogKeptTest, VerifyOfTheEndedCatalogIsCancelled) {
  CatalogMount mount(source_, options_);
  mount.StartAndComplete();
  testing::Await([&] { return IsKept(); });
  ASSERT_TRUE(mount->Stop(std::chrono::seconds(20)));
  EXPECT_EQ(mount->VerifyKept().error().Errno(), ECANCELED);
}

TEST_F(CatalogKeptTest, NoChildIsLeft) {
  KeepOne();
  { CatalogMount mount(source_, options_); }  // never started
  EXPECT_TRUE(IsLoadedAndRight());
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace stokefs::cache
