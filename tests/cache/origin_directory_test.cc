#include "cache/origin_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <latch>

#include "cache/open_beneath.h"
#include "cache/origin_file.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_locator.h"
#include "tests/support/temp_dir.h"

namespace stokefs::cache {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kExtent = 64u << 10;
constexpr NodeId kNode{2};

class OriginDirectoryTest : public ::testing::Test {
 protected:
  ~OriginDirectoryTest() override { origin_.reset(); }

  base::UniqueFd OpenSource() {
    return base::UniqueFd(open(dir_.path().c_str(), O_PATH | O_DIRECTORY));
  }
  OriginDirectory& origin() {
    if (!origin_) {
      options_.extent_bytes = kExtent;
      origin_ = std::make_unique<OriginDirectory>(options_, OpenSource(), locator_, clock_);
    }
    return *origin_;
  }
  // Writes in place: the inode stays.
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name, std::ios::binary) << text;
  }
  void Add(NodeId node, const std::string& name) {
    base::UniqueFd const file(open((dir_ / name).c_str(), O_PATH | O_NOFOLLOW));
    ASSERT_TRUE(file.Valid());
    locator_.Add(node, name, file.Get());
  }
  // Sets mtime to a value that no clock tick repeats.
  void Touch(const std::string& name, int64_t seconds) {
    timespec const times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = seconds, .tv_nsec = 5}};
    ASSERT_EQ(utimensat(AT_FDCWD, (dir_ / name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }

  // Starts a fetch of `size_bytes` into `bytes_`.
  std::future<base::Status> Start(ChunkSource& source, BlockKey key, size_t size_bytes) {
    bytes_.assign(size_bytes, '.');
    auto promise = std::make_shared<std::promise<base::Status>>();
    std::vector<FetchItem> items(1);
    items[0] = {.key = key,
                .into = std::as_writable_bytes(std::span(bytes_)),
                .deadline = clock_.Now() + std::chrono::seconds(10),
                .done = [promise](base::Status status) { promise->set_value(std::move(status)); }};
    auto future = promise->get_future();
    source.Fetch(std::move(items));
    return future;
  }
  int Fetch(BlockKey key, size_t size_bytes) {
    base::Status const status = Start(origin(), key, size_bytes).get();
    return status ? 0 : status.error().Errno();
  }

  testing::TempDir dir_;
  testing::FakeClock clock_;
  testing::FakeLocator locator_;
  OriginDirectory::Options options_;
  std::string bytes_;
  std::unique_ptr<OriginDirectory> origin_;
};

TEST_F(OriginDirectoryTest, ReadsSmallFilesWholeAndLargeOnesByExtent) {
  std::string text(2 * kExtent + 10, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  Write("small", "hello");
  Write("large", text);
  Add(kNode, "small");
  Add(NodeId{3}, "large");
  EXPECT_EQ(Fetch({kNode, 0}, 5), 0);
  EXPECT_EQ(bytes_, "hello");
  EXPECT_EQ(Fetch({NodeId{3}, 1}, kExtent), 0);
  EXPECT_EQ(bytes_, text.substr(kExtent, kExtent));
  EXPECT_EQ(Fetch({NodeId{3}, 2}, 10), 0);
  EXPECT_EQ(bytes_, text.substr(2 * kExtent));
  EXPECT_EQ(origin().Statistics().reads.Value(), 3u);
  EXPECT_EQ(origin().Statistics().bytes.Value(), kExtent + 15);
  EXPECT_EQ(origin().Statistics().errors.Value(), 0u);
  EXPECT_TRUE(locator_.Stale().empty());
}

TEST_F(OriginDirectoryTest, AccessTimesStayAsTheyWere) {
  Write("f", "hello");
  Touch("f", 1000);
  Add(kNode, "f");
  EXPECT_EQ(Fetch({kNode, 0}, 5), 0);
  struct stat found;
  ASSERT_EQ(stat((dir_ / "f").c_str(), &found), 0);
  EXPECT_EQ(found.st_atim.tv_sec, 1);
}

TEST_F(OriginDirectoryTest, AFileThatChangedSinceTheScanIsStale) {
  Write("f", "hello");
  Add(kNode, "f");
  Write("f", "HELLO");
  Touch("f", 1000);
  EXPECT_EQ(Fetch({kNode, 0}, 5), ESTALE);
  EXPECT_EQ(locator_.Stale(), std::vector{kNode});
  EXPECT_EQ(origin().Statistics().stale.Value(), 1u);
  EXPECT_EQ(origin().Statistics().errors.Value(), 1u);
}

TEST_F(OriginDirectoryTest, AnotherFileUnderTheNameIsStale) {
  Write("f", "hello");
  Touch("f", 1000);
  Add(kNode, "f");
  Write("new", "HELLO");
  Touch("new", 1000);
  fs::rename(dir_ / "new", dir_ / "f");  // same size, same mtime
  EXPECT_EQ(Fetch({kNode, 0}, 5), ESTALE);
}

// Stages a change of the file between two reads of it.
TEST_F(OriginDirectoryTest, AFileThatChangesUnderTheReadIsStaleAndNeverAMix) {
  Write("f", std::string(1000, 'a'));
  Add(kNode, "f");
  options_.read_at = [&](int fd, std::span<std::byte> into, uint64_t offset) {
    base::Result<size_t> const half = base::ReadAt(fd, into.first(500), offset);
    Write("f", std::string(1000, 'b'));
    base::Result<size_t> const rest = base::ReadAt(fd, into.subspan(500), offset + 500);
    return base::Result<size_t>(*half + *rest);
  };
  EXPECT_EQ(Fetch({kNode, 0}, 1000), ESTALE);
  EXPECT_EQ(bytes_, std::string(500, 'a') + std::string(500, 'b'));  // a mix, and it was refused
  EXPECT_EQ(locator_.Stale(), std::vector{kNode});
}

TEST_F(OriginDirectoryTest, AFileReplacedUnderTheReadGivesItsOldBytesOrStale) {
  Write("f", "hello");
  Write("new", "HELLO");
  Add(kNode, "f");
  options_.read_at = [&](int fd, std::span<std::byte> into, uint64_t offset) {
    fs::rename(dir_ / "new", dir_ / "f");  // the open file lives on, its link count changes
    return base::ReadAt(fd, into, offset);
  };
  int const error = Fetch({kNode, 0}, 5);
  EXPECT_TRUE(error == ESTALE || (error == 0 && bytes_ == "hello")) << error;
}

TEST_F(OriginDirectoryTest, AFileThatShrinksUnderTheReadIsStale) {
  Write("f", "hello");
  Add(kNode, "f");
  options_.read_at = [&](int fd, std::span<std::byte> into, uint64_t offset) {
    fs::resize_file(dir_ / "f", 3);
    return base::ReadAt(fd, into, offset);
  };
  EXPECT_EQ(Fetch({kNode, 0}, 5), ESTALE);
}

TEST_F(OriginDirectoryTest, AVanishedFileIsNotFoundAndTheCatalogHearsOfIt) {
  Write("f", "hello");
  Add(kNode, "f");
  fs::remove(dir_ / "f");
  EXPECT_EQ(Fetch({kNode, 0}, 5), ENOENT);
  EXPECT_EQ(locator_.Stale(), std::vector{kNode});
}

TEST_F(OriginDirectoryTest, AnUnknownNodeIsNotFoundAndNobodyHearsOfIt) {
  EXPECT_EQ(Fetch({kNode, 0}, 5), ENOENT);
  EXPECT_TRUE(locator_.Stale().empty());
}

TEST_F(OriginDirectoryTest, ALinkInTheFilesPlaceIsNotFollowed) {
  Write("secret", "hello");
  Write("f", "hello");
  Add(kNode, "f");
  fs::remove(dir_ / "f");
  fs::create_symlink("secret", dir_ / "f");
  EXPECT_EQ(Fetch({kNode, 0}, 5), ESTALE);
  EXPECT_EQ(bytes_, ".....");
  EXPECT_EQ(locator_.Stale(), std::vector{kNode});
}

TEST_F(OriginDirectoryTest, ALinkInAFoldersPlaceIsNotFollowed) {
  testing::TempDir outside;
  std::ofstream(outside / "f") << "hello";
  fs::create_directory(dir_ / "d");
  Write("d/f", "hello");
  Add(kNode, "d/f");
  fs::remove_all(dir_ / "d");
  fs::create_directory_symlink(outside.path(), dir_ / "d");
  EXPECT_EQ(Fetch({kNode, 0}, 5), ESTALE);
  EXPECT_EQ(bytes_, ".....");
}

TEST_F(OriginDirectoryTest, AReplacedFolderIsSeen) {
  fs::create_directory(dir_ / "d");
  Write("d/f", "hello");
  Add(kNode, "d/f");
  fs::rename(dir_ / "d", dir_ / "old");
  fs::create_directory(dir_ / "d");
  EXPECT_EQ(Fetch({kNode, 0}, 5), ENOENT);
  Write("d/f", "HELLO");
  EXPECT_EQ(Fetch({kNode, 0}, 5), ESTALE);
  fs::remove_all(dir_ / "d");
  Write("d", "a file");
  EXPECT_EQ(Fetch({kNode, 0}, 5), ENOENT);
  EXPECT_EQ(locator_.Stale().size(), 3u);
}

TEST_F(OriginDirectoryTest, AFifoOrAFolderInTheFilesPlaceBlocksNobody) {
  Write("f", "hello");
  Add(kNode, "f");
  fs::remove(dir_ / "f");
  ASSERT_EQ(mkfifo((dir_ / "f").c_str(), 0600), 0);
  EXPECT_EQ(Fetch({kNode, 0}, 5), ESTALE);
  fs::remove(dir_ / "f");
  fs::create_directory(dir_ / "f");
  EXPECT_EQ(Fetch({kNode, 0}, 5), ESTALE);
}

TEST_F(OriginDirectoryTest, APathAbovePathMaxIsRead) {
  std::string path;
  base::UniqueFd folder(open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY));
  std::string const name(200, 'n');
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(mkdirat(folder.Get(), name.c_str(), 0755), 0);
    folder = base::UniqueFd(openat(folder.Get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    path += name + "/";
  }
  base::UniqueFd const file(openat(folder.Get(), "f", O_RDWR | O_CREAT, 0644));
  ASSERT_TRUE(base::WriteAll(file.Get(), "hello").has_value());
  locator_.Add(kNode, path + "f", file.Get());
  EXPECT_EQ(Fetch({kNode, 0}, 5), 0);
  EXPECT_EQ(bytes_, "hello");
}

TEST_F(OriginDirectoryTest, WhatIsPastItsDeadlineIsNotStarted) {
  Write("f", "hello");
  Add(kNode, "f");
  bytes_ = ".....";
  std::promise<base::Status> answer;
  std::vector<FetchItem> items(1);
  items[0] = {.key = {kNode, 0},
              .into = std::as_writable_bytes(std::span(bytes_)),
              .deadline = clock_.Now(),
              .done = [&](base::Status status) { answer.set_value(std::move(status)); }};
  origin().Fetch(std::move(items));
  EXPECT_EQ(answer.get_future().get().error().Errno(), ETIMEDOUT);
  EXPECT_EQ(bytes_, ".....");
}

// One thread is stuck at the origin, one item waits, the next is refused; then the mount ends.
TEST_F(OriginDirectoryTest, AHungOriginRefusesWhatItCannotQueueAndStopGivesUp) {
  Write("f", "hello");
  Add(kNode, "f");
  options_.threads = 1;
  options_.queue_count_max = 1;
  std::latch arrived(1), released(1);
  locator_.on_locate = [&] {
    arrived.count_down();
    released.wait();
  };
  std::future<base::Status> stuck = Start(origin(), {kNode, 0}, 5);
  arrived.wait();
  std::future<base::Status> queued = Start(origin(), {kNode, 0}, 5);
  std::future<base::Status> refused = Start(origin(), {kNode, 0}, 5);
  EXPECT_EQ(refused.get().error().Errno(), EAGAIN);
  EXPECT_FALSE(origin().Stop(std::chrono::milliseconds(10)));
  EXPECT_EQ(queued.get().error().Errno(), ECANCELED);
  EXPECT_EQ(Start(origin(), {kNode, 0}, 5).get().error().Errno(), ECANCELED);
  released.count_down();
  EXPECT_TRUE(origin().Stop(std::chrono::seconds(60)));
  EXPECT_TRUE(stuck.get().has_value());
  EXPECT_EQ(bytes_, "hello");
}

// Four threads: background fetches may occupy three of them, whatever waits.
TEST_F(OriginDirectoryTest, BackgroundFetchesLeaveAThreadToReaders) {
  Write("f", "hello");
  Add(kNode, "f");
  options_.threads = 4;
  std::latch arrived(3), released(1), answered(5);
  std::atomic<int> located{0};
  locator_.on_locate = [&] {
    if (++located > 3) return;
    arrived.count_down();
    released.wait();
  };
  std::vector<std::string> bytes(5, ".....");
  std::vector<FetchItem> items(5);
  for (size_t i = 0; i < items.size(); ++i) {
    items[i] = {.key = {kNode, 0},
                .into = std::as_writable_bytes(std::span(bytes[i])),
                .deadline = clock_.Now() + std::chrono::seconds(10),
                .priority = FetchPriority::kBackground,
                .done = [&](const base::Status&) { answered.count_down(); }};
  }
  origin().Fetch(std::move(items));
  arrived.wait();
  EXPECT_EQ(Fetch({kNode, 0}, 5), 0);  // hangs if a fourth was let in
  EXPECT_EQ(located, 4);
  released.count_down();
  answered.wait();
  for (std::string const& text : bytes) EXPECT_EQ(text, "hello");
}

TEST(UntilSettled, WaitsForTheTickOfAChangeOfJustNow) {
  int64_t const second = 1'000'000'000;
  FileVersion const fine{.mtime_ns = 5, .ctime_ns = 100 * second + 1};
  FileVersion const coarse{.mtime_ns = 90 * second, .ctime_ns = 100 * second};
  auto const ms = [](int64_t count) { return base::Duration(std::chrono::milliseconds(count)); };
  EXPECT_EQ(UntilSettled(fine, fine.ctime_ns), ms(20));
  EXPECT_EQ(UntilSettled(fine, fine.ctime_ns + 15'000'000), ms(5));
  EXPECT_EQ(UntilSettled(fine, fine.ctime_ns + 20'000'000), ms(0));
  EXPECT_EQ(UntilSettled(coarse, coarse.ctime_ns + second), ms(1100));
  EXPECT_EQ(UntilSettled(coarse, coarse.ctime_ns + 3 * second), ms(0));
  EXPECT_EQ(UntilSettled(fine, fine.ctime_ns - second), ms(0));  // another machine's clock
}

}  // namespace
}  // namespace stokefs::cache
