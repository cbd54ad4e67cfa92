#include "fs/control_mount.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <string>

#include "base/file.h"
#include "tests/support/fuse_device.h"
#include "tests/support/temp_dir.h"

namespace stokefs::fs {
namespace {

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
  auto mount = Mount({{"stats", [&] { return std::string(200'000, 'a' + char(rendered++)); }}});
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
  auto mount = Mount({{"stats", [] { return std::string("x"); }}});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  EXPECT_EQ(open((dir_ / "stats").c_str(), O_WRONLY), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(open((dir_ / "new").c_str(), O_WRONLY | O_CREAT, 0644), -1);
  EXPECT_EQ(open((dir_ / "absent").c_str(), O_RDONLY), -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(ControlMountTest, StopsWhileAFileIsHeldOpen) {
  auto mount = Mount({{"stats", [] { return std::string("x"); }}});
  ASSERT_NE(mount, nullptr);
  mount->Start([] {});
  base::UniqueFd const held(open((dir_ / "stats").c_str(), O_RDONLY));
  ASSERT_TRUE(held.Valid());
  mount->Stop();  // hangs if a thread needs a request to notice
  std::byte byte;
  EXPECT_FALSE(base::ReadAt(held.Get(), {&byte, 1}, 0));
}

TEST_F(ControlMountTest, AnUnmountFromOutsideIsReported) {
  auto mount = Mount({{"stats", [] { return std::string("x"); }}});
  ASSERT_NE(mount, nullptr);
  std::promise<void> ended;
  mount->Start([&] { ended.set_value(); });
  ASSERT_EQ(system(("fusermount3 -u " + dir_.path()).c_str()), 0);
  ended.get_future().wait();
}

}  // namespace
}  // namespace stokefs::fs
