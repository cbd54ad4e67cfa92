#include "cache/pins.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <set>
#include <string>

#include "base/file.h"
#include "cache/path_list.h"
#include "tests/support/catalog_mount.h"
#include "tests/support/fake_disk.h"
#include "tests/support/fake_fetcher.h"

namespace stokefs::cache {
namespace {

using testing::Await;
using testing::CatalogMount;
using testing::FakeDisk;
using testing::FakeFetcher;
using testing::SourceTree;

class PinsTest : public ::testing::Test {
 protected:
  PinsTest() {
    for (std::string const name : {"a/1", "a/2", "ab/3", "b/4"}) source_.File(name);
    mount_ = std::make_unique<CatalogMount>(source_);
    mount_->StartAndComplete();
    warmup_ = std::make_unique<Warmup>(Warmup::Options{}, *mount_->catalog, fetcher_);
    Open();
  }
  void Open() {
    pins_.reset();
    pins_ = std::make_unique<Pins>(Pins::Options{.file = folder_ / "pins",
                                                 .look_period = std::chrono::milliseconds(5),
                                                 .retry_period = std::chrono::milliseconds(5)},
                                   *mount_->catalog, disk_, *warmup_, *mount_->journal);
    pins_->Start();
  }
  std::set<BlockKey> Keys(const std::vector<std::string>& paths) {
    std::set<BlockKey> keys;
    for (std::string const& path : paths) keys.insert({(*mount_)->FindPath(path).value(), 0});
    return keys;
  }
  void Refresh() {
    std::promise<void> done;
    (*mount_)->Refresh([&](const base::Result<RefreshReport>&) { done.set_value(); });
    done.get_future().wait();
  }

  SourceTree source_;
  testing::TempDir folder_;
  FakeDisk disk_;
  FakeFetcher fetcher_{&disk_};
  std::unique_ptr<CatalogMount> mount_;
  std::unique_ptr<Warmup> warmup_;
  std::unique_ptr<Pins> pins_;
};

TEST_F(PinsTest, APinFetchesAndPinsWhatLiesBelow) {
  ASSERT_TRUE(pins_->Add({"a"}));
  Await([&] { return disk_.Pinned() == Keys({"a/1", "a/2"}) && disk_.Blocks() == disk_.Pinned(); });
  EXPECT_TRUE(pins_->Covers("a/1"));
  EXPECT_FALSE(pins_->Covers("ab/3"));
  base::JobSignal signal;
  auto const shares = pins_->Shares(signal);
  ASSERT_TRUE(shares);
  ASSERT_EQ(shares->size(), 1u);
  EXPECT_EQ((*shares)[0].samples, 2u);
  EXPECT_EQ((*shares)[0].samples_on_disk, 2u);
  EXPECT_EQ((*shares)[0].bytes_on_disk, 2u);
}

TEST_F(PinsTest, PinsAreThereAfterARestart) {
  ASSERT_TRUE(pins_->Add({"a", "b"}));
  Await([&] { return disk_.Blocks().size() == 3; });
  disk_.Unpin(std::vector<BlockKey>{*Keys({"a/1"}).begin()});  // a new disk tier knows of none
  Open();
  EXPECT_EQ(pins_->Paths(), (std::vector<std::string>{"a", "b"}));
  Await([&] { return disk_.Pinned() == Keys({"a/1", "a/2", "b/4"}); });
}

TEST_F(PinsTest, UnpinLeavesWhatAnotherPinCovers) {
  ASSERT_TRUE(pins_->Add({"a", "a/1", "b"}));
  Await([&] { return disk_.Pinned().size() == 3; });
  ASSERT_TRUE(pins_->Remove({"a", "b"}));
  EXPECT_EQ(disk_.Pinned(), Keys({"a/1"}));
  EXPECT_EQ(pins_->Paths(), (std::vector<std::string>{"a/1"}));
  EXPECT_EQ(pins_->Remove({"a/1", "gone"}).error().Errno(), ENOENT);
  EXPECT_EQ(pins_->Paths(), (std::vector<std::string>{"a/1"}));
  ASSERT_TRUE(pins_->Remove({"a/1"}));
  EXPECT_TRUE(disk_.Pinned().empty());
  EXPECT_NE(access((folder_ / "pins").c_str(), F_OK), 0);
}

TEST_F(PinsTest, NewAndChangedFilesBelowAPinAreSeenTo) {
  ASSERT_TRUE(pins_->Add({"a"}));
  Await([&] { return disk_.Blocks().size() == 2; });
  source_.File("a/new");
  source_.File("a/1", "y");  // of the same size: no digest tells
  ASSERT_EQ(truncate((source_ / "a/2").c_str(), 0), 0);
  source_.File("a/2", "z");
  Refresh();
  auto const wanted = Keys({"a/1", "a/2", "a/new"});
  Await([&] {
    auto const pinned = disk_.Pinned();
    return std::includes(pinned.begin(), pinned.end(), wanted.begin(), wanted.end());
  });
  Await([&] {
    auto const blocks = disk_.Blocks();
    return std::includes(blocks.begin(), blocks.end(), wanted.begin(), wanted.end());
  });
}

TEST_F(PinsTest, AFetchThatFailedIsTriedAgain) {
  fetcher_.FailAll(std::errc::io_error);
  ASSERT_TRUE(pins_->Add({"b"}));
  Await([&] { return fetcher_.Asked().size() >= 3; });
  EXPECT_TRUE(disk_.Blocks().empty());
  EXPECT_TRUE(mount_->JournalHas("pinned samples could not be fetched"));
}

TEST_F(PinsTest, WhatDoesNotFitIsNotFetchedForEver) {
  fetcher_.LoseAll();
  ASSERT_TRUE(pins_->Add({"b"}));
  Await([&] { return mount_->JournalHas("do not fit"); });
  Await([&] { return !pins_->Fetching(); });
  EXPECT_EQ(fetcher_.Asked().size(), 1u);
}

TEST_F(PinsTest, APathThatIsGoneKeepsNoOtherFromItsDue) {
  ASSERT_TRUE(pins_->Add({"gone", "b"}));
  Await([&] { return disk_.Blocks() == Keys({"b/4"}); });
  base::JobSignal signal;
  auto const shares = pins_->Shares(signal);
  ASSERT_EQ(shares->size(), 2u);
  EXPECT_FALSE((*shares)[0].error);
  ASSERT_TRUE((*shares)[1].error);
  EXPECT_EQ((*shares)[1].error->Errno(), ENOENT);
}

TEST_F(PinsTest, ADamagedListIsPutAside) {
  ASSERT_TRUE(base::WriteFileAtomically(folder_ / "pins", "stokefs-paths 1 nonsense"));
  Open();
  EXPECT_TRUE(pins_->Paths().empty());
  EXPECT_TRUE(mount_->JournalHas("put aside"));
  EXPECT_EQ(access((folder_ / "pins.damaged").c_str(), F_OK), 0);
  ASSERT_TRUE(pins_->Add({"b"}));
}

TEST_F(PinsTest, AListThatCannotBeWrittenChangesNothing) {
  ASSERT_TRUE(pins_->Add({"b"}));
  std::filesystem::remove_all(folder_.path());
  EXPECT_FALSE(pins_->Add({"a"}));
  EXPECT_EQ(pins_->Paths(), (std::vector<std::string>{"b"}));
  std::filesystem::create_directories(folder_.path());
}

TEST_F(PinsTest, TheEndWaitsForNoFetch) {
  fetcher_.Hold();
  ASSERT_TRUE(pins_->Add({"a"}));
  Await([&] { return fetcher_.WaitingCount() > 0; });
  EXPECT_TRUE(pins_->Stop(std::chrono::seconds(20)));
  fetcher_.EndAll();
}

}  // namespace
}  // namespace stokefs::cache
