#include "fs/control_mount.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <string>

#include "base/file.h"
#include "base/sync.h"
#include "tests/support/fuse_device.h"
#include "tests/support/temp_dir.h"

namespace stokefs::fs {
namespace {

ControlFile Showing(const std::string& text) {
  return {.name = "stats", .render = [text] { return text; }, .converse = {}};
}

class ControlMountTest : public ::testing::Test {
 protected:
  void SetUp() override { STOKEFS_SKIP_WITHOUT_FUSE(); }

  std::unique_ptr<ControlMount> Mount(std::vector<ControlFile> files) {
    auto mount =
        ControlMount::Mount({.mount_point = dir_.path(), .source_name = "test"}, std::move(files));
    EXPECT_TRUE(mount) << mount.error().message;
    return mount ? std::move(*mount) : nullptr;
  }

  testing::TempDir dir_;
};

TEST_F(ControlMountTest, EachOpenIsASnapshotOfItsOwn) {
  std::atomic<int> rendered{0};
  auto mount = Mount({{"stats", [&] { return std::string(200'000, 'a' + char(rendered++)); }, {}}});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  base::UniqueFd const first(open((dir_ / "stats").c_str(), O_RDONLY));
  base::UniqueFd const second(open((dir_ / "stats").c_str(), O_RDONLY));
  std::vector<std::byte> bytes(300'000);
  ASSERT_EQ(base::ReadAt(first.Get(), bytes, 0).value(), 200'000u);
  EXPECT_EQ(bytes[199'999], std::byte{'a'});
  ASSERT_EQ(base::ReadAt(second.Get(), bytes, 0).value(), 200'000u);
  EXPECT_EQ(bytes[0], std::byte{'b'});
}

TEST_F(ControlMountTest, NothingCanBeWrittenOrMade) {
  auto mount = Mount({Showing("x")});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  EXPECT_EQ(open((dir_ / "stats").c_str(), O_WRONLY), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(open((dir_ / "new").c_str(), O_WRONLY | O_CREAT, 0644), -1);
  EXPECT_EQ(open((dir_ / "absent").c_str(), O_RDONLY), -1);
  EXPECT_EQ(errno, ENOENT);
}

// Says back what it was told, with a count of its readings.
class Echo final : public ControlConversation {
 public:
  explicit Echo(std::promise<std::string>* ended = nullptr) : ended_(ended) {}
  ~Echo() override {
    base::MutexLock lock(mu_);
    if (ended_ != nullptr) ended_->set_value(heard_);
  }
  int Write(std::string_view bytes) override {
    if (bytes == "bad") return EINVAL;
    base::MutexLock lock(mu_);
    heard_ += bytes;
    return 0;
  }
  int Flush() override {
    base::MutexLock lock(mu_);
    return heard_ == "half" ? EBADMSG : 0;
  }
  std::string Read() override {
    base::MutexLock lock(mu_);
    return std::to_string(++readings_) + heard_;
  }

 private:
  std::promise<std::string>* const ended_;
  base::Mutex mu_;  // two control threads may bring what one thread of the test asks
  std::string heard_ GUARDED_BY(mu_);
  int readings_ GUARDED_BY(mu_) = 0;
};

ControlFile Conversing(std::function<std::unique_ptr<ControlConversation>()> converse) {
  return {.name = "command", .render = {}, .converse = std::move(converse), .permissions = 0600};
}

std::string ReadWhole(int fd) {
  std::string text(4 << 20, 0);
  auto const got = base::ReadAt(fd, std::as_writable_bytes(std::span(text)), 0);
  EXPECT_TRUE(got);
  text.resize(got.value_or(0));
  return text;
}

TEST_F(ControlMountTest, EachHandleConversesOnItsOwn) {
  auto mount = Mount({Conversing([] { return std::make_unique<Echo>(); })});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  struct stat st {};
  ASSERT_EQ(stat((dir_ / "command").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  base::UniqueFd const first(open((dir_ / "command").c_str(), O_RDWR));
  base::UniqueFd const second(open((dir_ / "command").c_str(), O_RDWR | O_TRUNC));
  ASSERT_TRUE(base::WriteAll(first.Get(), "one"));
  ASSERT_TRUE(base::WriteAll(second.Get(), "two"));
  EXPECT_EQ(ReadWhole(first.Get()), "1one");
  EXPECT_EQ(ReadWhole(first.Get()), "2one");  // made anew by each read from the start
  EXPECT_EQ(ReadWhole(second.Get()), "1two");
}

TEST_F(ControlMountTest, LongWritesArriveWholeAndLongAnswersAreOneSnapshot) {
  auto mount = Mount({Conversing([] { return std::make_unique<Echo>(); })});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  base::UniqueFd const fd(open((dir_ / "command").c_str(), O_RDWR));
  std::string text;
  for (int i = 0; text.size() < 3'000'000; ++i) text += std::to_string(i) + ",";
  ASSERT_TRUE(base::WriteAll(fd.Get(), text));
  std::string piece(1000, 0), answer;
  for (ssize_t got = 1; got > 0;) {
    got = pread(fd.Get(), piece.data(), piece.size(), static_cast<off_t>(answer.size()));
    ASSERT_GE(got, 0);
    answer.append(piece, 0, static_cast<size_t>(got));
  }
  EXPECT_EQ(answer, "1" + text);
}

TEST_F(ControlMountTest, AConversationsErrnosAreTheWritersAndTheClosers) {
  auto mount = Mount({Conversing([] { return std::make_unique<Echo>(); })});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  base::UniqueFd fd(open((dir_ / "command").c_str(), O_RDWR));
  EXPECT_EQ(write(fd.Get(), "bad", 3), -1);
  EXPECT_EQ(errno, EINVAL);
  ASSERT_EQ(write(fd.Get(), "half", 4), 4);
  EXPECT_EQ(close(fd.Release()), -1);
  EXPECT_EQ(errno, EBADMSG);
  EXPECT_EQ(chmod((dir_ / "command").c_str(), 0666), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(truncate((dir_ / "command").c_str(), 0), 0);
}

// Holds the answer, on the thread that brought the question, until it is let go.
class Holding final : public ControlConversation {
 public:
  Holding(std::promise<void>& asked, std::shared_future<void> go) : asked_(asked), go_(go) {}
  int Write(std::string_view /*bytes*/) override { return 0; }
  void TakeWrite(std::string_view /*bytes*/, ControlAnswer answer) override {
    answer(0);
    asked_.set_value();
    go_.wait();
  }
  std::string Read() override { return ""; }

 private:
  std::promise<void>& asked_;
  const std::shared_future<void> go_;
};

TEST_F(ControlMountTest, ItsEndWaitsForAThreadThatHoldsAnAnswer) {
  std::promise<void> asked, go;
  auto mount = Mount({Conversing(
      [&, held = go.get_future().share()] { return std::make_unique<Holding>(asked, held); })});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  base::UniqueFd fd(open((dir_ / "command").c_str(), O_WRONLY));
  ASSERT_EQ(write(fd.Get(), "x", 1), 1);
  asked.get_future().wait();
  auto ended = std::async(std::launch::async, [&] { mount.reset(); });
  EXPECT_EQ(ended.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  go.set_value();
  EXPECT_EQ(ended.wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

TEST_F(ControlMountTest, AConversationEndsWithItsHandleOrWithTheMount) {
  std::promise<std::string> closed, unmounted;
  std::vector<std::promise<std::string>*> endings{&unmounted, &closed};
  auto mount = Mount({Conversing([&] {
    auto* const ended = endings.back();
    endings.pop_back();
    return std::make_unique<Echo>(ended);
  })});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  base::UniqueFd first(open((dir_ / "command").c_str(), O_WRONLY));
  base::UniqueFd const second(open((dir_ / "command").c_str(), O_RDWR));
  ASSERT_TRUE(base::WriteAll(first.Get(), "one"));
  first.Reset();
  EXPECT_EQ(closed.get_future().get(), "one");
  mount->Stop();
  mount.reset();
  EXPECT_EQ(unmounted.get_future().get(), "");
}

TEST_F(ControlMountTest, StopsWhileAFileIsHeldOpen) {
  auto mount = Mount({Showing("x")});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  base::UniqueFd const held(open((dir_ / "stats").c_str(), O_RDONLY));
  ASSERT_TRUE(held.Valid());
  mount->Stop();  // hangs if a thread needs a request to notice
  std::byte byte;
  EXPECT_FALSE(base::ReadAt(held.Get(), {&byte, 1}, 0));
}

TEST_F(ControlMountTest, AnUnmountFromOutsideIsReported) {
  auto mount = Mount({Showing("x")});
  ASSERT_NE(mount, nullptr);
  std::promise<void> ended;
  mount->Start([&] { ended.set_value(); });
  ASSERT_EQ(system(("fusermount3 -u " + dir_.path()).c_str()), 0);
  ended.get_future().wait();
}

}  // namespace
}  // namespace stokefs::fs
