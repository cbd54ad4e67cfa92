#include "cache/packer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <random>
#include <string>

#include "cache/chunk_format.h"
#include "cache/packed_dataset.h"
#include "tests/support/packed_source.h"

namespace stokefs::cache {
namespace {

namespace fs = std::filesystem;
using testing::FlipBit;
using testing::PackedSource;
using testing::ReadBytes;
using testing::WriteBytes;

class PackerTest : public ::testing::Test {
 protected:
  PackerTest() {
    packed_.options.layout = {.chunk_bytes = 20'000, .chunk_samples = 100};
    packed_.options.extent_bytes = 64u << 10;
    for (int i = 0; i < 60; ++i) {
      packed_.source.File("d/" + std::to_string(i), std::string(1000, static_cast<char>(i)));
    }
    packed_.source.File("large", std::string(200'000, 'L'));
    packed_.source.File("empty", "");
  }

  int PackError() {
    auto const packed = packed_.TryPack();
    message_ = packed ? "" : packed.error().message;
    return packed ? 0 : packed.error().Errno();
  }
  std::set<std::string> FilesOfOut() {
    std::set<std::string> files;
    for (auto const& entry : fs::recursive_directory_iterator(packed_.out())) {
      if (entry.is_regular_file()) files.insert(fs::relative(entry.path(), packed_.out()));
    }
    return files;
  }

  PackedSource packed_;
  std::string message_;
};

TEST_F(PackerTest, EveryChunkFileHasItsBytesAtTheirPlacesAndZerosBetween) {
  PackSummary const sums = packed_.Pack();
  EXPECT_EQ(sums.samples, 62u);
  EXPECT_EQ(sums.bytes, 260'000u);
  EXPECT_EQ(sums.reused_files, 0u);
  auto const files = packed_.ChunkFiles();
  EXPECT_EQ(sums.files, files.size());
  EXPECT_GT(files.size(), 3u);
  uint64_t entry_bytes = 0, file_bytes = 0;
  for (std::string const& file : files) {
    std::string const bytes = ReadBytes(file);
    auto const head = ParseChunkHead(bytes);
    ASSERT_TRUE(head) << head.error().message;
    ASSERT_EQ(head->file_bytes, bytes.size());
    std::string rest = bytes;
    for (ChunkEntry const& entry : head->entries) {
      std::string const block = bytes.substr(entry.offset, entry.size_bytes);
      EXPECT_EQ(block, std::string(block.size(), block[0]));  // one file's letter
      rest.replace(entry.offset, entry.size_bytes, entry.size_bytes, '\0');
      entry_bytes += entry.size_bytes;
    }
    uint64_t const head_bytes = HeadBytes(static_cast<uint32_t>(head->entries.size()));
    EXPECT_EQ(rest.find_first_not_of('\0', head_bytes), rest.npos);
    file_bytes += bytes.size();
  }
  EXPECT_EQ(entry_bytes, 260'000u);
  EXPECT_EQ(sums.written_bytes, file_bytes);
}

TEST_F(PackerTest, TheSameSourceIsPackedToTheSameFiles) {
  std::string const digest = packed_.Pack().digest;
  auto const files = FilesOfOut();
  fs::remove_all(packed_.out());
  packed_.options.threads = 7;
  EXPECT_EQ(packed_.Pack().digest, digest);
  EXPECT_EQ(FilesOfOut(), files);
}

TEST_F(PackerTest, WhatIsThereAndRightIsUsedAgainAndWhatIsNotIsMadeAnew) {
  PackSummary const first = packed_.Pack();
  auto const files = packed_.ChunkFiles();
  PackSummary const second = packed_.Pack();
  EXPECT_EQ(second.reused_files, first.files);
  EXPECT_EQ(second.written_bytes, 0u);
  EXPECT_EQ(second.digest, first.digest);

  FlipBit(files[0], 8 * 5000);  // a block's byte
  FlipBit(files[1], 8 * 60);    // the head
  WriteBytes(files[2], ReadBytes(files[2]).substr(0, 4096));
  PackSummary const third = packed_.Pack();
  EXPECT_EQ(third.reused_files, first.files - 3);
  EXPECT_EQ(third.digest, first.digest);
  EXPECT_EQ(packed_.Pack().reused_files, first.files);
}

TEST_F(PackerTest, AnInterruptedPackIsNoDatasetAndItsFilesAreUsed) {
  // The source fails once half of it is read, as a kill would end it.
  std::atomic<int> reads{0};
  packed_.options.threads = 1;
  packed_.options.read_at = [&](int fd, std::span<std::byte> into, uint64_t offset) {
    if (++reads > 30) return base::Result<size_t>(base::FailErrno(EIO, "the test's"));
    return base::ReadAt(fd, into, offset);
  };
  EXPECT_EQ(PackError(), EIO);
  EXPECT_FALSE(packed_.HasManifest());
  size_t const done = packed_.ChunkFiles().size();
  EXPECT_GT(done, 0u);
  WriteBytes(packed_.ChunkFiles()[0] + ".new", "half a file");
  WriteBytes(packed_ / "index.new", "half an index");
  packed_.options.read_at = base::ReadAt;
  PackSummary const sums = packed_.Pack();
  EXPECT_EQ(sums.reused_files, done);
  for (std::string const& name : FilesOfOut()) EXPECT_FALSE(name.ends_with(".new")) << name;
}

TEST_F(PackerTest, OnlyChunksOfWhatChangedArePackedAnewAndOldOnesGo) {
  PackSummary const first = packed_.Pack();
  packed_.source.File("d/7", std::string(1000, 'x'));
  packed_.source.Remove("large");
  PackSummary const second = packed_.Pack();
  EXPECT_NE(second.digest, first.digest);
  EXPECT_EQ(second.files - second.reused_files, 1u);
  EXPECT_EQ(packed_.ChunkFiles().size(), second.files);
  EXPECT_EQ(FilesOfOut().size(), second.files + 3);  // index, manifest, lock
}

TEST_F(PackerTest, AnotherLayoutIsPackedAnew) {
  packed_.Pack();
  packed_.options.layout.chunk_bytes = 10'000;
  PackSummary const sums = packed_.Pack();
  EXPECT_EQ(sums.reused_files, 0u);
  EXPECT_EQ(packed_.ChunkFiles().size(), sums.files);
}

TEST_F(PackerTest, AFileThatChangesWhileItIsReadIsReadAgain) {
  std::atomic<bool> is_changed{false};
  packed_.options.read_at = [&](int fd, std::span<std::byte> into, uint64_t offset) {
    auto got = base::ReadAt(fd, into, offset);
    if (!is_changed.exchange(true)) {
      packed_.source.File("d/3", "shorter");
      packed_.source.File("d/new", "came meanwhile");
    }
    return got;
  };
  PackSummary const sums = packed_.Pack();
  EXPECT_EQ(sums.samples, 63u);
  EXPECT_EQ(sums.bytes, 260'000u - 1000 + 7 + 14);
  EXPECT_EQ(packed_.ChunkFiles().size(), sums.files);
}

TEST_F(PackerTest, AFileThatNeverRestsIsAnErrorThatNamesIt) {
  std::atomic<int> count{0};
  packed_.options.read_at = [&](int fd, std::span<std::byte> into, uint64_t offset) {
    auto got = base::ReadAt(fd, into, offset);
    packed_.source.File("d/restless", std::string(100, static_cast<char>(++count)));
    return got;
  };
  packed_.source.File("d/restless", "never the same");
  EXPECT_EQ(PackError(), ESTALE);
  EXPECT_NE(message_.find("d/restless"), std::string::npos) << message_;
  EXPECT_FALSE(packed_.HasManifest());
}

TEST_F(PackerTest, FilesThatCannotBeReadAreNamedAndTheOldDatasetStays) {
  std::string const digest = packed_.Pack().digest;
  auto const files = FilesOfOut();
  packed_.source.File("d/7", "changed");
  packed_.options.read_at = [](int, std::span<std::byte>, uint64_t) {
    return base::Result<size_t>(base::FailErrno(EIO, "the test's"));
  };
  EXPECT_EQ(PackError(), EIO);
  EXPECT_NE(message_.find("d/"), std::string::npos) << message_;
  auto const dataset = PackedDataset::Open(packed_.OpenOut());
  ASSERT_TRUE(dataset);
  EXPECT_EQ((*dataset)->Known()->manifest().Digest(), digest);
  EXPECT_EQ(FilesOfOut(), files);
}

TEST_F(PackerTest, ManyUnreadableFilesAreNotAllNamed) {
  packed_.options.layout = {};
  packed_.options.read_at = [](int, std::span<std::byte>, uint64_t) {
    return base::Result<size_t>(base::FailErrno(EIO, "the test's"));
  };
  EXPECT_EQ(PackError(), EIO);
  EXPECT_EQ(std::count(message_.begin(), message_.end(), ';'), 9) << message_;
}

TEST_F(PackerTest, AFolderWithOtherThingsIsRefusedAndUntouched) {
  fs::create_directories(packed_.out());
  WriteBytes(packed_ / "thesis.tex", "years of work");
  EXPECT_EQ(PackError(), ENOTEMPTY);
  EXPECT_EQ(FilesOfOut(), std::set<std::string>{"thesis.tex"});
}

TEST_F(PackerTest, OtherThingsInADatasetsFolderStay) {
  packed_.Pack();
  WriteBytes(packed_ / "README", "mine");
  WriteBytes(packed_ / "chunks/notes", "mine");
  packed_.source.File("d/7", "changed");
  packed_.Pack();
  EXPECT_EQ(ReadBytes(packed_ / "README"), "mine");
  EXPECT_EQ(ReadBytes(packed_ / "chunks/notes"), "mine");
}

TEST_F(PackerTest, AFolderThatIsBeingPackedIsRefused) {
  packed_.Pack();
  base::UniqueFd const lock(open((packed_ / "lock").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(lock.Get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(PackError(), EBUSY);
}

TEST_F(PackerTest, ADatasetWithoutItsLockFileIsStillOne) {
  packed_.Pack();
  fs::remove(packed_ / "lock");
  EXPECT_EQ(PackError(), 0);
}

TEST_F(PackerTest, ADiskThatTakesNoMoreIsAnErrorAndNothingHalfIsLeft) {
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  auto const old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit const small{.rlim_cur = 50'000, .rlim_max = old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  int const error = PackError();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(error, EFBIG) << message_;
  EXPECT_FALSE(packed_.HasManifest());
  for (std::string const& name : FilesOfOut()) EXPECT_FALSE(name.ends_with(".new")) << name;
  EXPECT_GT(packed_.Pack().reused_files, 0u);
}

TEST_F(PackerTest, AnEmptySourceIsADatasetOfNothing) {
  packed_.source.Remove("d");
  packed_.source.Remove("large");
  packed_.source.Remove("empty");
  PackSummary const sums = packed_.Pack();
  EXPECT_EQ(sums.files, 0u);
  auto const dataset = PackedDataset::Open(packed_.OpenOut());
  ASSERT_TRUE(dataset) << dataset.error().message;
  EXPECT_EQ((*dataset)->Known()->ReadFolder("")->Count(), 0u);
}

TEST_F(PackerTest, ABudgetSmallerThanAFileOfChunksWorks) {
  packed_.options.memory_bytes = 1;
  packed_.options.threads = 4;
  EXPECT_EQ(packed_.Pack().samples, 62u);
}

TEST_F(PackerTest, ProgressEndsWithAll) {
  PackProgress last;
  packed_.options.on_progress = [&](const PackProgress& progress) { last = progress; };
  PackSummary const sums = packed_.Pack();
  EXPECT_EQ(last.files_done, sums.files);
  EXPECT_EQ(last.bytes_done, sums.bytes);
  EXPECT_EQ(last.bytes, sums.bytes);
}

}  // namespace
}  // namespace stokefs::cache
