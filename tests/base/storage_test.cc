#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/aligned_buffer.h"
#include "base/real_storage.h"
#include "tests/support/faulty_storage.h"
#include "tests/support/temp_dir.h"

namespace stokefs::base {
namespace {

namespace fs = std::filesystem;
using testing::FaultyStorage;
using testing::StorageCall;

AlignedBuffer Bytes(size_t size) {
  AlignedBuffer buffer(size);
  for (size_t i = 0; i < buffer.bytes().size(); ++i) {
    buffer.bytes()[i] = static_cast<std::byte>(i * 131 >> 3 | 1);  // never 0
  }
  return buffer;
}

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename T>
int ErrnoOf(const Result<T>& result) {
  return result ? 0 : result.error().Errno();
}

class RealStorageTest : public ::testing::TestWithParam<const char*> {
 protected:
  testing::TempDir folder_{GetParam()};
  RealStorage storage_;
};

TEST_P(RealStorageTest, WritesWholeFilesWhateverTheirLengthAndPlace) {
  AlignedBuffer const buffer = Bytes(3u << 20);
  int n = 0;
  for (size_t size : {0u, 1u, 4095u, 4096u, 4097u, 3u << 20}) {
    for (size_t from : {0u, 1u}) {
      if (from + size > buffer.bytes().size()) continue;
      std::string const path = folder_ / std::to_string(n++);
      auto const bytes = buffer.bytes().subspan(from, size);
      auto const written = storage_.WriteNew(path, bytes);
      ASSERT_TRUE(written) << written.error().message;
      EXPECT_EQ(written->name, std::to_string(n - 1));
      EXPECT_EQ(written->size_bytes, size);
      struct stat found {};
      ASSERT_EQ(stat(path.c_str(), &found), 0);
      EXPECT_EQ(written->allocated_bytes, static_cast<uint64_t>(found.st_blocks) * 512);
      EXPECT_EQ(found.st_mode & 07777, 0600u);
      auto const back = ReadFile(path, 4u << 20);
      ASSERT_TRUE(back);
      EXPECT_TRUE(*back == Text(bytes));
    }
  }
}

TEST_P(RealStorageTest, NeverWritesIntoWhatIsThere) {
  AlignedBuffer const buffer = Bytes(4096);
  std::ofstream(folder_ / "file") << "old";
  fs::create_symlink(folder_ / "elsewhere", folder_ / "link");
  EXPECT_EQ(ErrnoOf(storage_.WriteNew(folder_ / "file", buffer.bytes())), EEXIST);
  EXPECT_EQ(ErrnoOf(storage_.WriteNew(folder_ / "link", buffer.bytes())), EEXIST);
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));
  EXPECT_EQ(*ReadFile(folder_ / "file"), "old");
}

TEST_P(RealStorageTest, RenamesButReplacesNothing) {
  std::ofstream(folder_ / "a") << "a";
  std::ofstream(folder_ / "b") << "b";
  EXPECT_EQ(ErrnoOf(storage_.Rename(folder_ / "a", folder_ / "b")), EEXIST);
  EXPECT_EQ(*ReadFile(folder_ / "b"), "b");
  EXPECT_TRUE(storage_.Rename(folder_ / "a", folder_ / "c"));
  EXPECT_EQ(ErrnoOf(storage_.Rename(folder_ / "a", folder_ / "d")), ENOENT);
  EXPECT_TRUE(storage_.SyncFolder(folder_.path()));
}

TEST_P(RealStorageTest, ListsRegularFilesAndFoldersOnly) {
  std::ofstream(folder_ / "b") << "four";
  std::ofstream(folder_ / "a") << "";
  ASSERT_TRUE(storage_.MakeFolders(folder_ / "d/e"));
  fs::create_symlink("a", folder_ / "link");
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  auto const files = storage_.ListFiles(folder_.path());
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].name, "a");
  EXPECT_EQ((*files)[1].name, "b");
  EXPECT_EQ((*files)[1].size_bytes, 4u);
  EXPECT_EQ(*storage_.ListFolders(folder_.path()), std::vector<std::string>{"d"});
  EXPECT_EQ(ErrnoOf(storage_.ListFiles(folder_ / "none")), ENOENT);
}

TEST_P(RealStorageTest, OpensNeitherLinksNorWaitsForAFifo) {
  std::ofstream(folder_ / "file") << "bytes";
  fs::create_symlink("file", folder_ / "link");
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(ErrnoOf(storage_.OpenToRead(folder_ / "link", 0)), ELOOP);
  EXPECT_TRUE(storage_.OpenToRead(folder_ / "fifo", 0));
  auto const fd = storage_.OpenToRead(folder_ / "file", 0);
  ASSERT_TRUE(fd);
  EXPECT_EQ(fcntl(fd->Get(), F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
  EXPECT_EQ(fcntl(fd->Get(), F_GETFD), FD_CLOEXEC);
}

TEST_P(RealStorageTest, TellsTheSpace) {
  auto const space = storage_.Space(folder_.path());
  ASSERT_TRUE(space);
  EXPECT_GT(space->total_bytes, 0u);
  EXPECT_LE(space->free_bytes, space->total_bytes);
  EXPECT_EQ(ErrnoOf(storage_.Space(folder_ / "none")), ENOENT);
}

TEST_P(RealStorageTest, TryingDirectReadsLeavesNothing) {
  Status const direct = storage_.TryDirectReads(folder_.path());
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  EXPECT_EQ(ErrnoOf(storage_.TryDirectReads(folder_ / "none")), ENOENT);
}

std::string NameOf(const ::testing::TestParamInfo<const char*>& place) {
  return place.index == 0 ? "OnDisk" : "InMemory";
}

INSTANTIATE_TEST_SUITE_P(FileSystems, RealStorageTest, ::testing::Values("/var/tmp", "/dev/shm"),
                         NameOf);

TEST(RealStorage, SaysThatTmpfsHasNoDirectReads) {
  testing::TempDir folder("/dev/shm");
  Status const direct = RealStorage().TryDirectReads(folder.path());
  ASSERT_FALSE(direct);
  EXPECT_NE(direct.error().message.find("tmpfs"), std::string::npos) << direct.error().message;
}

TEST(RealStorage, ADirectDescriptorStaysDirect) {
  testing::TempDir folder("/var/tmp");
  RealStorage storage;
  Status const direct = storage.TryDirectReads(folder.path());
  if (!direct) GTEST_SKIP() << "SKIPPED: " << direct.error().message;
  AlignedBuffer buffer = Bytes(8192);
  ASSERT_TRUE(storage.WriteNew(folder / "file", buffer.bytes()));
  auto const fd = storage.OpenToRead(folder / "file", O_DIRECT);
  ASSERT_TRUE(fd);
  EXPECT_NE(fcntl(fd->Get(), F_GETFL) & O_DIRECT, 0);
  EXPECT_EQ(pread(fd->Get(), buffer.bytes().data(), 4096, 4096), 4096);
  EXPECT_EQ(pread(fd->Get(), buffer.bytes().data() + 1, 100, 1), -1);
}

// tmpfs compares with its size before it allocates anything; a disk would be filled first.
TEST(RealStorage, AFullFileSystemSaysSoBeforeAByteIsLookedAt) {
  testing::TempDir folder("/dev/shm");
  RealStorage storage;
  size_t const size = AlignUp(storage.Space(folder.path())->total_bytes + 1);
  void* const nothing =
      mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(nothing, MAP_FAILED);
  auto const written =
      storage.WriteNew(folder / "file", {static_cast<const std::byte*>(nothing), size});
  EXPECT_EQ(ErrnoOf(written), ENOSPC);  // EFAULT, had it read the first byte
  munmap(nothing, size);
}

class FaultyStorageTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }
  int Write(const std::string& name) {
    return ErrnoOf(faulty_.WriteNew(Path(name), buffer_.bytes()));
  }
  bool IsWhole(const std::string& name) {
    auto const bytes = ReadFile(Path(name));
    return bytes && *bytes == Text(buffer_.bytes());
  }

  testing::TempDir folder_;
  AlignedBuffer buffer_ = Bytes(64u << 10);
  RealStorage real_;
  FaultyStorage faulty_{real_};
};

TEST_F(FaultyStorageTest, TheNthCallFailsAndHalfAFileStays) {
  faulty_.FailNth(StorageCall::kWriteNew, 2, EIO);
  EXPECT_EQ(Write("1"), 0);
  EXPECT_EQ(Write("2"), EIO);
  EXPECT_EQ(Write("3"), 0);
  EXPECT_EQ(fs::file_size(Path("2")), buffer_.bytes().size() / 2);
  EXPECT_EQ(faulty_.CallCount(StorageCall::kWriteNew), 3u);
}

TEST_F(FaultyStorageTest, AFullDiskTakesWhatFits) {
  faulty_.SetCapacity(buffer_.bytes().size() + 4096);
  EXPECT_EQ(Write("1"), 0);
  EXPECT_EQ(Write("2"), ENOSPC);
  EXPECT_EQ(fs::file_size(Path("2")), 4096u);
}

TEST_F(FaultyStorageTest, AReadOnlyDiskIsStillRead) {
  EXPECT_EQ(Write("1"), 0);
  faulty_.SetReadOnly();
  EXPECT_EQ(Write("2"), EROFS);
  EXPECT_EQ(ErrnoOf(faulty_.Remove(Path("1"))), EROFS);
  EXPECT_TRUE(faulty_.OpenToRead(Path("1"), 0));
}

TEST_F(FaultyStorageTest, ACrashKeepsWhatWasSynced) {
  EXPECT_EQ(Write("1"), 0);
  ASSERT_TRUE(faulty_.Rename(Path("1"), Path("2")));
  ASSERT_TRUE(faulty_.SyncFolder(folder_.path()));
  faulty_.Crash();
  EXPECT_TRUE(IsWhole("2"));
  EXPECT_EQ(Write("3"), EIO);
}

TEST_F(FaultyStorageTest, ACrashMayUndoARenameThatWasNotSynced) {
  bool undone = false, kept = false;
  for (uint64_t seed = 0; seed < 50 && !(undone && kept); ++seed) {
    FaultyStorage disk(real_, seed);
    ASSERT_TRUE(disk.WriteNew(Path("from"), buffer_.bytes()));
    ASSERT_TRUE(disk.SyncFolder(folder_.path()));
    ASSERT_TRUE(disk.Rename(Path("from"), Path("to")));
    disk.Crash();
    undone = undone || IsWhole("from");
    kept = kept || IsWhole("to");
    EXPECT_NE(fs::exists(Path("from")), fs::exists(Path("to")));
    fs::remove(Path("from"));
    fs::remove(Path("to"));
  }
  EXPECT_TRUE(undone && kept);
}

TEST_F(FaultyStorageTest, ADiskThatDoesNotSyncLosesBytesInEachWay) {
  bool empty = false, cut = false, zeros = false;
  for (uint64_t seed = 0; seed < 200 && !(empty && cut && zeros); ++seed) {
    FaultyStorage disk(real_, seed);
    disk.SetSyncsLost();
    ASSERT_TRUE(disk.WriteNew(Path("file"), buffer_.bytes()));
    disk.Crash();
    auto const bytes = ReadFile(Path("file"));
    if (!bytes) continue;  // its name was lost
    empty = empty || bytes->empty();
    cut = cut || (!bytes->empty() && bytes->size() < buffer_.bytes().size());
    zeros = zeros || (bytes->size() == buffer_.bytes().size() && bytes->back() == '\0');
    fs::remove(Path("file"));
  }
  EXPECT_TRUE(empty && cut && zeros);
}

TEST_F(FaultyStorageTest, AMachineThatStoppedDoesNothingMore) {
  faulty_.StopAtChange(2);
  EXPECT_EQ(Write("1"), 0);
  EXPECT_EQ(Write("2"), EIO);
  EXPECT_EQ(ErrnoOf(faulty_.Remove(Path("1"))), EIO);
  EXPECT_EQ(ErrnoOf(faulty_.OpenToRead(Path("1"), 0)), EIO);
  EXPECT_EQ(faulty_.ChangeCount(), 2u);
  EXPECT_TRUE(IsWhole("1"));
  EXPECT_FALSE(IsWhole("2"));
}

}  // namespace
}  // namespace stokefs::base
