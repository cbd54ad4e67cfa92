#include "cache/chunk_directory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <random>

#include "base/real_storage.h"
#include "cache/chunk_names.h"
#include "tests/support/chunk_image.h"
#include "tests/support/faulty_storage.h"
#include "tests/support/temp_dir.h"

namespace stokefs::cache {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ChunkImage;
using testing::FaultyStorage;
using testing::MakeChunkImage;
using testing::StorageCall;

// Names of all regular files below `path`, relative to it.
std::vector<std::string> FilesBelow(const std::string& path) {
  std::vector<std::string> names;
  for (auto const& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), path).string());
  }
  return names;
}

struct Place {
  const char* parent = "";
  bool direct = false;
};

class ChunkDirectoryTest : public ::testing::Test {
 protected:
  explicit ChunkDirectoryTest(Place place = {"/var/tmp", true})
      : folder_(place.parent), direct_(place.direct) {
    Open({});
  }
  ~ChunkDirectoryTest() override { disk_.SetHook(nullptr); }

  void Open(ChunkDirectory::Options options) {
    directory_ = nullptr;
    options.path = folder_ / "cache";
    options.direct = direct_;
    auto opened = ChunkDirectory::Open(std::move(options), disk_);
    ASSERT_TRUE(opened) << opened.error().message;
    directory_ = std::move(*opened);
  }

  ChunkFileId Write(const ChunkImage& image) {
    auto const written = directory_->Write(image.bytes());
    EXPECT_TRUE(written) << written.error().message;
    return written ? written->file : ChunkFileId{};
  }
  int ErrnoOfWrite() {
    auto const written = directory_->Write(image_.bytes());
    return written ? 0 : written.error().Errno();
  }

  // Reads a range and waits; 0 or the errno.
  int Read(ChunkFileId file, uint64_t offset, std::span<std::byte> into) {
    std::promise<int> ended;
    Submit(file, offset, into, [&](int error) { ended.set_value(error); });
    return ended.get_future().get();
  }
  void Submit(ChunkFileId file, uint64_t offset, std::span<std::byte> into,
              std::function<void(int)> ended,
              base::ReadPriority priority = base::ReadPriority::kDemand) {
    std::vector<ChunkRead> reads;
    reads.push_back(
        {.file = file,
         .offset = offset,
         .into = into,
         .done = [ended = std::move(ended)](
                     const base::Status& status) { ended(status ? 0 : status.error().Errno()); },
         .priority = priority});
    directory_->Read(std::move(reads));
  }
  bool HoldsAllOf(ChunkFileId file, const ChunkImage& image) {
    for (ChunkEntry const& entry : image.head.entries) {
      std::vector<std::byte> bytes(entry.size_bytes);
      if (Read(file, entry.offset, bytes) != 0) return false;
      if (std::memcmp(bytes.data(), image.Block(entry).data(), bytes.size()) != 0) return false;
    }
    return true;
  }

  std::map<uint64_t, FoundChunk> Scan() {
    std::map<uint64_t, FoundChunk> found;
    base::Status const scanned = directory_->Scan([&](FoundChunk chunk) {
      uint64_t const id = chunk.file.value;
      EXPECT_TRUE(found.emplace(id, std::move(chunk)).second);
    });
    EXPECT_TRUE(scanned) << scanned.error().message;
    return found;
  }

  testing::TempDir folder_;
  const bool direct_;
  ChunkImage image_ = MakeChunkImage(1, {100, 2000, 70'000, 300'000});
  std::byte byte_{};
  base::RealStorage real_;
  FaultyStorage disk_{real_};
  std::unique_ptr<ChunkDirectory> directory_;
};

// On a disk and in memory, with direct reads and without.
class ChunkDirectoryPlaces : public ChunkDirectoryTest,
                             public ::testing::WithParamInterface<Place> {
 protected:
  ChunkDirectoryPlaces() : ChunkDirectoryTest(GetParam()) {}
};

TEST_P(ChunkDirectoryPlaces, FilesAreReadAndFoundAgain) {
  std::vector<ChunkImage> images;
  std::map<uint64_t, const ChunkImage*> written;
  images.reserve(40);
  std::mt19937_64 random(7);
  for (uint64_t i = 0; i < 40; ++i) {
    std::vector<uint32_t> sizes(random() % 200 + 1);
    for (uint32_t& size : sizes) size = static_cast<uint32_t>(random() % 3000 + 1);
    sizes.push_back(200'000);
    images.push_back(MakeChunkImage(i, sizes));
    written[Write(images.back()).value] = &images.back();
  }
  EXPECT_EQ(written.size(), 40u);
  EXPECT_TRUE(Scan().empty());  // what it wrote itself is known
  for (auto const& [id, image] : written) EXPECT_TRUE(HoldsAllOf({id}, *image));

  Open({});
  auto const found = Scan();
  EXPECT_EQ(found.size(), 40u);
  for (auto const& [id, chunk] : found) {
    ASSERT_TRUE(written.contains(id));
    ASSERT_TRUE(chunk.head) << chunk.head.error().message;
    EXPECT_EQ(chunk.head->entries.size(), written[id]->head.entries.size());
    EXPECT_FALSE(chunk.is_bad);
    EXPECT_GE(chunk.allocated_bytes, written[id]->bytes().size());
    EXPECT_LE(chunk.allocated_bytes, ChunkDirectory::AllocatedBytes(written[id]->bytes().size()));
    EXPECT_TRUE(HoldsAllOf({id}, *written[id]));
  }
  EXPECT_EQ(FilesBelow(directory_->path()).size(), 40u);
}

TEST_P(ChunkDirectoryPlaces, ManySmallReadsInOneCall) {
  ChunkImage const image = MakeChunkImage(3, std::vector<uint32_t>(1000, 2048));
  ChunkFileId const file = Write(image);
  std::vector<std::byte> memory(size_t{2048} * 1000);
  std::atomic<int> left{1000};
  std::atomic<int> good{0};
  std::promise<void> all;
  std::vector<ChunkRead> reads;
  for (size_t i = 0; i < 1000; ++i) {
    reads.push_back({.file = file,
                     .offset = image.head.entries[i].offset,
                     .into = std::span(memory).subspan(i * 2048, 2048),
                     .done = [&](const base::Status& status) {
                       if (status) ++good;
                       if (--left == 0) all.set_value();
                     }});
  }
  directory_->Read(std::move(reads));
  all.get_future().wait();
  EXPECT_EQ(good, 1000);
  for (size_t i = 0; i < 1000; ++i) {
    auto const block = image.Block(image.head.entries[i]);
    ASSERT_EQ(std::memcmp(memory.data() + i * 2048, block.data(), 2048), 0);
  }
}

TEST_P(ChunkDirectoryPlaces, SaysHowItReads) {
  std::string const name = directory_->ReaderName();
  if (!GetParam().direct) {
    EXPECT_EQ(name, "threads (as configured)");
  } else if (std::string(GetParam().parent) == "/dev/shm") {
    EXPECT_EQ(name.find("threads (O_DIRECT on tmpfs"), 0u) << name;
  } else {
    EXPECT_TRUE(name.find("io_uring") == 0 || name.find("threads (") == 0) << name;
  }
}

std::string NameOf(const ::testing::TestParamInfo<Place>& place) {
  const char* const names[] = {"Disk", "DiskBuffered", "Memory"};
  return names[place.index];
}

INSTANTIATE_TEST_SUITE_P(Places, ChunkDirectoryPlaces,
                         ::testing::Values(Place{"/var/tmp", true}, Place{"/var/tmp", false},
                                           Place{"/dev/shm", true}),
                         NameOf);

TEST_F(ChunkDirectoryTest, OpeningDoesNotLookAtTheFiles) {
  for (int i = 0; i < 5; ++i) Write(image_);
  size_t const opened = disk_.CallCount(StorageCall::kOpenToRead);
  size_t const listed = disk_.CallCount(StorageCall::kListFiles);
  Open({});
  EXPECT_EQ(disk_.CallCount(StorageCall::kOpenToRead), opened);
  EXPECT_EQ(disk_.CallCount(StorageCall::kListFiles), listed);
  EXPECT_EQ(ErrnoOfWrite(), 0);
}

TEST_F(ChunkDirectoryTest, ARemovedFileIsENOENTAlsoWhenItWasOpen) {
  ChunkFileId const file = Write(image_);
  EXPECT_EQ(Read(file, 0, {&byte_, 1}), 0);
  EXPECT_TRUE(directory_->Remove(file));
  EXPECT_EQ(Read(file, 0, {&byte_, 1}), ENOENT);
  EXPECT_TRUE(directory_->Remove(file));  // gone already
  EXPECT_TRUE(FilesBelow(directory_->path()).empty());
}

TEST_F(ChunkDirectoryTest, AFileRemovedWhileItIsOpenedIsStillReadButNotKeptOpen) {
  ChunkFileId const file = Write(image_);
  // Removed between the opening and the read.
  std::atomic<bool> armed{true};
  uint64_t const offset = image_.head.entries[0].offset;
  disk_.SetHook([&](StorageCall call, const std::string&) {
    if (call != StorageCall::kOpenToRead || !armed.exchange(false)) return;
    fs::rename(directory_->PathOf(file), folder_ / "aside");
    EXPECT_TRUE(directory_->Remove(file));
    fs::rename(folder_ / "aside", directory_->PathOf(file));
  });
  std::byte first{};
  EXPECT_EQ(Read(file, offset, {&first, 1}), 0);
  fs::remove(directory_->PathOf(file));
  EXPECT_EQ(Read(file, offset, {&byte_, 1}), ENOENT);
}

TEST_F(ChunkDirectoryTest, AFilePutAsideIsFoundAsBadAndCanBeRemoved) {
  ChunkFileId const file = Write(image_);
  EXPECT_EQ(Read(file, 0, {&byte_, 1}), 0);
  EXPECT_TRUE(directory_->PutAside(file));
  EXPECT_EQ(Read(file, 0, {&byte_, 1}), ENOENT);
  Open({});
  auto const found = Scan();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found.begin()->second.is_bad);
  EXPECT_GE(found.begin()->second.allocated_bytes, image_.bytes().size());
  EXPECT_TRUE(directory_->Remove(file));
  EXPECT_TRUE(FilesBelow(directory_->path()).empty());
}

TEST_F(ChunkDirectoryTest, AFileCutShortIsDamagedAndItsReadsAreEBADMSG) {
  ChunkFileId const file = Write(image_);
  ChunkEntry const& last = image_.head.entries.back();
  fs::resize_file(directory_->PathOf(file), last.offset + 10);
  std::vector<std::byte> bytes(last.size_bytes);
  EXPECT_EQ(Read(file, last.offset, bytes), EBADMSG);
  EXPECT_EQ(Read(file, last.offset, std::span(bytes).first(10)), 0);
  Open({});
  auto const found = Scan();
  ASSERT_EQ(found.size(), 1u);
  ASSERT_FALSE(found.begin()->second.head);
  EXPECT_EQ(found.begin()->second.head.error().Errno(), EBADMSG);
}

TEST_F(ChunkDirectoryTest, DamagedHeadsOfAllSizesAreReported) {
  ChunkImage const large = MakeChunkImage(5, std::vector<uint32_t>(9000, 10));  // a head of 504 kB
  for (ChunkImage const* image : {static_cast<const ChunkImage*>(&image_), &large}) {
    ChunkFileId const file = Write(*image);
    std::fstream stream(directory_->PathOf(file), std::ios::in | std::ios::out);
    stream.seekp(
        static_cast<std::streamoff>(HeadBytes(static_cast<uint32_t>(image->head.entries.size()))) -
        20);
    stream.put('\x5a');
  }
  fs::create_directories(directory_->path() + "/42");
  std::ofstream(directory_->path() + "/" + ChunkFilePath({.id = 0x4242})) << "";
  Open({});
  auto const found = Scan();
  EXPECT_EQ(found.size(), 3u);
  for (auto const& [id, chunk] : found) {
    ASSERT_FALSE(chunk.head);
    EXPECT_EQ(chunk.head.error().Errno(), EBADMSG);
  }
}

TEST_F(ChunkDirectoryTest, ScanRemovesWhatWasNotFinishedAndLeavesForeignFilesAlone) {
  ChunkFileId const file = Write(image_);
  fs::path const of_file = fs::path(directory_->PathOf(file)).parent_path();
  std::string const unfinished = directory_->PathOf(file) + ".new";
  std::ofstream(unfinished) << "half";
  for (const char* name : {"notes.txt", "0123456789abcdef.chunk.old"}) {
    std::ofstream(of_file / name) << "mine";
  }
  fs::create_directory(of_file / "0000000000000000.chunk");
  fs::create_directory(fs::path(directory_->path()) / "photos");
  std::ofstream(fs::path(directory_->path()) / "catalog") << "mine";
  size_t const foreign = 3;
  Open({});
  EXPECT_EQ(Scan().size(), 1u);
  EXPECT_FALSE(fs::exists(unfinished));
  EXPECT_EQ(FilesBelow(directory_->path()).size(), 1 + foreign);
}

TEST_F(ChunkDirectoryTest, ScanGoesOnPastWhatItCannotReadOrWhatVanishes) {
  for (int i = 0; i < 8; ++i) Write(image_);
  Open({});
  disk_.FailNth(StorageCall::kOpenToRead, 3, EACCES);
  std::atomic<int> opened{0};
  disk_.SetHook([&](StorageCall call, const std::string& path) {
    if (call == StorageCall::kOpenToRead && ++opened == 5) fs::remove(path);
  });
  size_t unreadable = 0;
  auto const found = Scan();
  for (auto const& [id, chunk] : found) {
    unreadable += !chunk.head && chunk.head.error().Errno() == EACCES;
  }
  EXPECT_EQ(found.size(), 7u);
  EXPECT_EQ(unreadable, 1u);
}

TEST_F(ChunkDirectoryTest, AFolderThatCannotBeListedIsToldAndTheRestIsVisited) {
  for (int i = 0; i < 8; ++i) Write(image_);
  Open({});
  disk_.FailNth(StorageCall::kListFiles, 2, EIO);
  size_t visited = 0;
  base::Status const scanned = directory_->Scan([&](const FoundChunk&) { ++visited; });
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().Errno(), EIO);
  EXPECT_EQ(visited, 7u);
}

TEST_F(ChunkDirectoryTest, AScanEndsWhenTheDirectoryIsStopped) {
  for (int i = 0; i < 30; ++i) Write(image_);
  Open({});
  // The third file is opened after the stop, as are those that were about to be; no more.
  std::atomic<int> opened{0};
  std::promise<void> stopped;
  std::shared_future<void> const gate = stopped.get_future().share();
  disk_.SetHook([&](StorageCall call, const std::string&) {
    if (call != StorageCall::kOpenToRead) return;
    int const n = ++opened;
    if (n == 3) {
      EXPECT_TRUE(directory_->Stop(seconds(60)));
      stopped.set_value();
    }
    if (n > 3) gate.wait();
  });
  base::Status const scanned = directory_->Scan([](const FoundChunk&) {});
  ASSERT_FALSE(scanned);
  EXPECT_EQ(scanned.error().Errno(), ECANCELED);
  EXPECT_LE(opened, 3 + 7);  // of 8 threads
  size_t visited = 0;
  base::Status const again = directory_->Scan([&](const FoundChunk&) { ++visited; });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().Errno(), ECANCELED);
  EXPECT_EQ(visited, 0u);
}

TEST_F(ChunkDirectoryTest, AWriteThatFailsLeavesNothing) {
  ASSERT_EQ(ErrnoOfWrite(), 0);
  for (auto [call, error] :
       {std::pair(StorageCall::kWriteNew, ENOSPC), std::pair(StorageCall::kWriteNew, EIO),
        std::pair(StorageCall::kRename, EIO), std::pair(StorageCall::kMakeFolders, EROFS)}) {
    disk_.FailNth(call, 1, error);
    EXPECT_EQ(ErrnoOfWrite(), error);
    EXPECT_EQ(FilesBelow(directory_->path()).size(), 1u);
    ASSERT_TRUE(directory_->Remove({.value = 0}));
  }
  disk_.FailNth(StorageCall::kSyncFolder, 2, EIO);  // the first is for the new folder
  EXPECT_EQ(ErrnoOfWrite(), EIO);
  EXPECT_EQ(FilesBelow(directory_->path()).size(), 1u);
  EXPECT_EQ(ErrnoOfWrite(), 0);
}

TEST_F(ChunkDirectoryTest, AFullDiskInTheMiddleOfAFileLeavesNothing) {
  disk_.SetCapacity(image_.bytes().size() + 8192);
  EXPECT_EQ(ErrnoOfWrite(), 0);
  EXPECT_EQ(ErrnoOfWrite(), ENOSPC);
  EXPECT_EQ(FilesBelow(directory_->path()).size(), 1u);
  EXPECT_EQ(directory_->Load().write_bytes, 0u);
}

TEST_F(ChunkDirectoryTest, ADiskThatTurnsReadOnlyIsStillRead) {
  ChunkFileId const file = Write(image_);
  disk_.SetReadOnly();
  EXPECT_EQ(ErrnoOfWrite(), EROFS);
  EXPECT_TRUE(HoldsAllOf(file, image_));
  auto const removed = directory_->Remove(file);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().Errno(), EROFS);
}

TEST_F(ChunkDirectoryTest, AnIdThatIsTakenIsNotUsed) {
  disk_.FailNth(StorageCall::kWriteNew, 1, EEXIST);
  ChunkFileId const first = Write(image_);
  disk_.FailNth(StorageCall::kRename, 1, EEXIST);
  ChunkFileId const second = Write(image_);
  EXPECT_NE(first, second);
  EXPECT_EQ(FilesBelow(directory_->path()).size(), 2u);
  EXPECT_TRUE(HoldsAllOf(second, image_));
}

// In memory, because it makes a file in each folder.
class ChunkDirectoryInMemory : public ChunkDirectoryTest {
 protected:
  ChunkDirectoryInMemory() : ChunkDirectoryTest({"/dev/shm", true}) {}
};

TEST_F(ChunkDirectoryInMemory, FoldersTakenAwayAreMadeAgainButNotTheDirectory) {
  ASSERT_EQ(ErrnoOfWrite(), 0);
  for (auto const& entry : fs::directory_iterator(directory_->path())) {
    fs::remove_all(entry.path());
  }
  for (size_t i = 0; i < kChunkFolderCount + 1; ++i) ASSERT_EQ(ErrnoOfWrite(), 0);
  EXPECT_EQ(FilesBelow(directory_->path()).size(), kChunkFolderCount + 1);
  fs::remove_all(directory_->path());
  EXPECT_EQ(ErrnoOfWrite(), ENOENT);
  EXPECT_FALSE(fs::exists(directory_->path()));
}

TEST_F(ChunkDirectoryTest, WithoutDescriptorsItClosesItsOwnAndThenSaysEAGAIN) {
  ChunkFileId const first = Write(image_);
  ChunkFileId const second = Write(image_);
  EXPECT_EQ(Read(first, 0, {&byte_, 1}), 0);
  disk_.FailNth(StorageCall::kOpenToRead, 1, EMFILE);
  EXPECT_EQ(Read(second, 0, {&byte_, 1}), 0);
  size_t const opened = disk_.CallCount(StorageCall::kOpenToRead);
  EXPECT_EQ(Read(first, 0, {&byte_, 1}), 0);  // it was closed for the second
  EXPECT_EQ(disk_.CallCount(StorageCall::kOpenToRead), opened + 1);
  EXPECT_TRUE(directory_->Remove(first));
  EXPECT_TRUE(directory_->Remove(second));
  ChunkFileId const third = Write(image_);
  disk_.FailAll(StorageCall::kOpenToRead, ENFILE);
  EXPECT_EQ(Read(third, 0, {&byte_, 1}), EAGAIN);
  disk_.FailAll(StorageCall::kOpenToRead, 0);
  EXPECT_EQ(Read(third, 0, {&byte_, 1}), 0);
}

TEST_F(ChunkDirectoryTest, KeepsNoMoreFilesOpenThanItMay) {
  std::vector<ChunkFileId> files;
  files.reserve(20);
  for (int i = 0; i < 20; ++i) files.push_back(Write(image_));
  Open({.open_files_max = 4});
  auto const open_count = [&] {
    size_t count = 0;
    for (auto const& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code closed;
      count += fs::read_symlink(entry.path(), closed).string().starts_with(directory_->path());
    }
    return count;
  };
  for (int round = 0; round < 2; ++round) {
    for (ChunkFileId file : files) EXPECT_EQ(Read(file, 0, {&byte_, 1}), 0);
  }
  EXPECT_TRUE(directory_->Stop(seconds(60)));
  EXPECT_EQ(open_count(), 4u);
}

// A disk whose opens wait for the test.
class HungDirectoryTest : public ChunkDirectoryTest {
 protected:
  HungDirectoryTest() {
    file_ = Write(image_);
    Open({.reads_queued_max = 3});
    disk_.SetHook([this](StorageCall call, const std::string&) {
      if (call != StorageCall::kOpenToRead) return;
      arrived_.set_value();
      gate_.wait();
    });
  }
  void Hang() {
    Submit(file_, 0, {&byte_, 1}, [this](int error) { hung_ = error; });
    arrived_.get_future().wait();
  }
  void Release() { release_.set_value(); }

  ChunkFileId file_;
  std::promise<void> arrived_, release_;
  std::shared_future<void> gate_ = release_.get_future().share();
  std::atomic<int> hung_{-1};
};

TEST_F(HungDirectoryTest, AFullQueueRefusesAndNobodyWaits) {
  Hang();
  disk_.SetHook(nullptr);
  std::vector<ChunkRead> reads;
  std::atomic<int> refused{0};
  std::byte bytes[4];
  for (std::byte& byte : bytes) {
    reads.push_back({.file = file_, .offset = 0, .into = {&byte, 1}, .done = [&](auto status) {
                       EXPECT_EQ(status.error().Errno(), EAGAIN);
                       ++refused;
                     }});
  }
  directory_->Read(std::move(reads));
  EXPECT_EQ(refused, 4);
  EXPECT_EQ(directory_->Load().reads, 1u);
  EXPECT_EQ(directory_->Load().read_bytes, 1u);
  Release();
  EXPECT_TRUE(directory_->Stop(seconds(60)));
}

TEST_F(HungDirectoryTest, StopAnswersWhatWaitsAndSaysThatTheDiskHangs) {
  Hang();
  EXPECT_FALSE(directory_->Stop(milliseconds(20)));
  EXPECT_EQ(hung_, -1);
  int refused = 0;
  std::byte byte{};
  Submit(file_, 0, {&byte, 1}, [&](int error) { refused = error; });
  EXPECT_EQ(refused, ECANCELED);
  Release();
  EXPECT_TRUE(directory_->Stop(seconds(60)));
  EXPECT_EQ(hung_, ECANCELED);
}

TEST_F(HungDirectoryTest, BackgroundThatHangsLeavesDemandAlone) {
  Submit(
      file_, 0, {&byte_, 1}, [this](int error) { hung_ = error; }, base::ReadPriority::kBackground);
  arrived_.get_future().wait();
  disk_.SetHook(nullptr);
  std::byte byte{};
  EXPECT_EQ(Read(file_, 0, {&byte, 1}), 0);  // hangs otherwise
  EXPECT_EQ(hung_, -1);
  Release();
  EXPECT_TRUE(directory_->Stop(seconds(60)));
}

TEST_F(ChunkDirectoryTest, MeasuresWhatItWritesAndReads) {
  EXPECT_EQ(directory_->Load().write_bytes_per_s, 0u);
  ChunkFileId const file = Write(image_);
  EXPECT_GT(directory_->Load().write_bytes_per_s, 1000u);
  EXPECT_TRUE(HoldsAllOf(file, image_));
  DirectoryLoad const load = directory_->Load();
  EXPECT_GT(load.read_bytes_per_s, 1000u);
  EXPECT_EQ(load.reads, 0u);
  EXPECT_EQ(load.write_bytes, 0u);
}

TEST_F(ChunkDirectoryTest, ReadsWritesAndRemovalsGoTogether) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (unsigned n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      ChunkImage const image = MakeChunkImage(n, {1000, 20'000, 100'000});
      for (int i = 0; i < 5; ++i) {
        auto const written = directory_->Write(image.bytes());
        if (!written || !HoldsAllOf(written->file, image)) ++wrong;
        if (i % 2 == 0 && written && !directory_->Remove(written->file)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(FilesBelow(directory_->path()).size(), 8u);
}

}  // namespace
}  // namespace stokefs::cache
