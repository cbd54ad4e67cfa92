#include "base/block_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <future>
#include <random>

#include "base/real_storage.h"
#include "tests/support/temp_dir.h"

namespace stokefs::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class Way : uint8_t { kUring, kThreads };

struct Case {
  Way way = Way::kUring;
  bool direct = false;
  const char* parent = "";
};

// A file whose reads end when the test says so: a pipe.
struct StuckFile {
  StuckFile() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    file = std::make_shared<const ReadableFile>(ReadableFile{.fd = UniqueFd(ends[0])});
    writer = UniqueFd(ends[1]);
  }
  void Release(size_t bytes) { EXPECT_TRUE(WriteAll(writer.Get(), std::string(bytes, 'x'))); }

  // Returns when somebody has read it.
  void ReleaseAndWait(size_t bytes) {
    Release(bytes);
    int left = 1;
    while (left > 0) {
      std::this_thread::yield();
      EXPECT_EQ(ioctl(file->fd.Get(), FIONREAD, &left), 0);
    }
  }

  std::shared_ptr<const ReadableFile> file;
  UniqueFd writer;
};

ssize_t ReadPipeOrFile(int fd, void* into, size_t bytes, off_t offset) {
  ssize_t const got = pread(fd, into, bytes, offset);
  return got < 0 && errno == ESPIPE ? read(fd, into, bytes) : got;
}

class BlockReaderTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    Status const direct = RealStorage().TryDirectReads(folder_.path());
    if (GetParam().direct && !direct) {
      GTEST_SKIP() << "SKIPPED: no direct reads: " << direct.error().message;
    }
    MakeReader({});
  }

  void MakeReader(BlockReader::Options options) {
    options.read = ReadPipeOrFile;
    if (GetParam().way == Way::kThreads) {
      reader_ = MakeThreadReader(std::move(options));
      return;
    }
    auto reader = MakeUringReader(std::move(options));
    if (!reader) GTEST_SKIP() << "SKIPPED: no io_uring: " << reader.error().message;
    reader_ = std::move(*reader);
  }

  std::shared_ptr<const ReadableFile> MakeFile(const std::string& name, size_t bytes) {
    std::mt19937_64 random(bytes);
    content_.resize(bytes);
    for (char& byte : content_) byte = static_cast<char>(random());
    std::ofstream(folder_ / name, std::ios::binary) << content_;
    int const flags = GetParam().direct ? O_DIRECT : 0;
    auto fd = RealStorage().OpenToRead(folder_ / name, flags);
    EXPECT_TRUE(fd) << fd.error().message;
    return std::make_shared<const ReadableFile>(
        ReadableFile{.fd = std::move(*fd), .is_direct = GetParam().direct});
  }

  // Submits one read and waits for its end.
  Status ReadOne(std::shared_ptr<const ReadableFile> file, uint64_t offset,
                 std::span<std::byte> into) {
    std::promise<Status> ended;
    std::vector<BlockRead> reads;
    reads.push_back(
        {.file = std::move(file), .offset = offset, .into = into, .done = [&](Status status) {
           ended.set_value(std::move(status));
         }});
    reader_->Submit(std::move(reads));
    return ended.get_future().get();
  }

  // One read of a byte; its errno, or 0, goes to `ended`.
  void Submit(std::shared_ptr<const ReadableFile> file, ReadPriority priority,
              std::function<void(int)> ended) {
    std::vector<BlockRead> reads;
    reads.push_back({.file = std::move(file),
                     .offset = 0,
                     .into = {&bytes_[next_byte_++], 1},
                     .priority = priority,
                     .done = [ended = std::move(ended)](const Status& status) {
                       ended(status ? 0 : status.error().Errno());
                     }});
    reader_->Submit(std::move(reads));
  }

  testing::TempDir folder_{GetParam().parent};
  std::string content_;
  std::array<std::byte, 64> bytes_{};
  size_t next_byte_ = 0;
  std::unique_ptr<BlockReader> reader_;  // last: reads into the above
};

TEST_P(BlockReaderTest, RandomBatchesBringWhatTheFileHolds) {
  auto const file = MakeFile("file", 5'000'001);
  uint64_t const seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    size_t const count = random() % 30 + 1;
    std::vector<std::vector<std::byte>> memory(count);
    std::vector<uint64_t> offsets(count);
    std::atomic<size_t> good{0};
    std::atomic<size_t> left{count};
    std::promise<void> ended;
    std::vector<BlockRead> reads;
    for (size_t i = 0; i < count; ++i) {
      memory[i].resize(random() % (i % 5 == 0 ? 1'500'000 : 20'000) + 1);
      offsets[i] = random() % (content_.size() - memory[i].size() + 1);
      reads.push_back({.file = file,
                       .offset = offsets[i],
                       .into = memory[i],
                       .priority = ReadPriority{static_cast<uint8_t>(random() % 2)},
                       .done = [&](const Status& status) {
                         if (status) ++good;
                         if (--left == 0) ended.set_value();
                       }});
    }
    reader_->Submit(std::move(reads));
    ended.get_future().wait();
    ASSERT_EQ(good, count);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(std::memcmp(memory[i].data(), content_.data() + offsets[i], memory[i].size()), 0);
    }
  }
}

TEST_P(BlockReaderTest, TheLastByteIsReadAndTheOneBehindItIsEBADMSG) {
  for (size_t size : {1u, 4095u, 4096u, 4097u, 300'000u}) {
    auto const file = MakeFile("file-" + std::to_string(size), size);
    std::vector<std::byte> all(size + 1);
    ASSERT_TRUE(ReadOne(file, 0, std::span(all).first(size)));
    EXPECT_EQ(std::memcmp(all.data(), content_.data(), size), 0);
    for (uint64_t offset : {uint64_t{0}, uint64_t{size - 1}, uint64_t{size}, uint64_t{1} << 40}) {
      Status const status = ReadOne(file, offset, std::span(all).first(size + 1));
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().Errno(), EBADMSG);
    }
  }
}

TEST_P(BlockReaderTest, AnErrorOfTheDiskIsTheReaders) {
  auto fd = RealStorage().OpenToRead(folder_.path(), 0);
  ASSERT_TRUE(fd);
  auto const folder =
      std::make_shared<const ReadableFile>(ReadableFile{.fd = std::move(*fd), .is_direct = false});
  std::byte into[1];
  Status const status = ReadOne(folder, 0, into);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().Errno(), EISDIR);
}

TEST_P(BlockReaderTest, AFullQueueRefusesAndNobodyWaits) {
  MakeReader({.reads_max = 2});
  StuckFile stuck;
  std::atomic<int> ended{0};
  for (int i = 0; i < 2; ++i) {
    Submit(stuck.file, ReadPriority::kDemand, [&](int) { ++ended; });
  }
  int refused = 0;
  Submit(stuck.file, ReadPriority::kDemand, [&](int error) { refused = error; });
  EXPECT_EQ(refused, EAGAIN);  // inside Submit
  EXPECT_EQ(reader_->Load().reads, 2u);
  EXPECT_EQ(reader_->Load().bytes, 2u);
  stuck.Release(2);
  EXPECT_TRUE(reader_->Stop(seconds(60)));
}

TEST_P(BlockReaderTest, DemandPassesBackgroundThatWaits) {
  MakeReader({.buffer_bytes = 128u << 10, .threads = 1});  // one buffer
  StuckFile stuck;
  std::mutex mutex;
  std::string order;
  std::promise<void> all;
  auto const note = [&](char who) {
    return [&, who](int) {
      bool is_last = false;
      {
        std::lock_guard const lock(mutex);
        order += who;
        is_last = order.size() == 4;
      }
      if (is_last) all.set_value();  // after which the test may end
    };
  };
  auto const file = MakeFile("file", 10);
  Submit(stuck.file, ReadPriority::kDemand, note('s'));
  for (char who : {'1', '2'}) Submit(file, ReadPriority::kBackground, note(who));
  Submit(file, ReadPriority::kDemand, note('d'));
  stuck.Release(1);
  all.get_future().wait();
  EXPECT_EQ(order, "sd12");
}

TEST_P(BlockReaderTest, BackgroundThatHangsLeavesRoomForDemand) {
  MakeReader({.buffer_bytes = size_t{8} * (128u << 10), .threads = 8});
  StuckFile stuck;
  std::atomic<int> ended{0};
  for (int i = 0; i < 20; ++i) Submit(stuck.file, ReadPriority::kBackground, [&](int) { ++ended; });
  auto const file = MakeFile("file", 500'000);
  std::vector<std::byte> into(content_.size());
  ASSERT_TRUE(ReadOne(file, 0, into));  // hangs otherwise
  EXPECT_EQ(ended, 0);
  stuck.Release(20);
  EXPECT_TRUE(reader_->Stop(seconds(60)));
  EXPECT_EQ(ended, 20);
}

TEST_P(BlockReaderTest, StoppingAnswersWhatWaitsAndGivesUpOnAHungDisk) {
  MakeReader({.buffer_bytes = 128u << 10, .threads = 1});  // one buffer
  StuckFile stuck;
  std::promise<int> hung;
  std::vector<BlockRead> reads;
  reads.push_back(
      {.file = stuck.file,
       .offset = 0,
       .into = std::span(bytes_).first(2),
       .done = [&](const Status& status) { hung.set_value(status ? 0 : status.error().Errno()); }});
  reader_->Submit(std::move(reads));
  stuck.ReleaseAndWait(1);  // so it is under way, with a byte to come
  next_byte_ = 2;
  std::promise<int> waiting;
  auto const file = MakeFile("file", 10);
  Submit(file, ReadPriority::kDemand, [&](int error) { waiting.set_value(error); });
  EXPECT_FALSE(reader_->Stop(milliseconds(20)));
  EXPECT_EQ(waiting.get_future().get(), ECANCELED);
  int refused = 0;
  Submit(file, ReadPriority::kDemand, [&](int error) { refused = error; });
  EXPECT_EQ(refused, ECANCELED);
  stuck.Release(1);
  EXPECT_EQ(hung.get_future().get(), 0);
  EXPECT_TRUE(reader_->Stop(seconds(60)));
}

TEST_P(BlockReaderTest, AFileIsKeptOpenUntilItsReadsHaveEndedAndNoLonger) {
  auto file = MakeFile("file", 1'000'000);
  std::weak_ptr<const ReadableFile> const watched = file;
  std::vector<std::byte> into(content_.size());
  ASSERT_TRUE(RealStorage().Remove(folder_ / "file"));
  ASSERT_TRUE(ReadOne(std::move(file), 0, into));
  EXPECT_EQ(std::memcmp(into.data(), content_.data(), into.size()), 0);
  EXPECT_TRUE(reader_->Stop(seconds(60)));
  EXPECT_TRUE(watched.expired());
}

TEST_P(BlockReaderTest, TellsWhatItDoes) {
  EXPECT_EQ(reader_->Name().substr(0, 7), GetParam().way == Way::kUring ? "io_urin" : "threads");
  EXPECT_EQ(reader_->Load().bytes_per_s, 0u);
  auto const file = MakeFile("file", 1'000'000);
  std::vector<std::byte> into(content_.size());
  ASSERT_TRUE(ReadOne(file, 0, into));
  ReaderLoad const load = reader_->Load();
  EXPECT_EQ(load.reads, 0u);
  EXPECT_EQ(load.bytes, 0u);
  EXPECT_GT(load.bytes_per_s, 1000u);
}

TEST_P(BlockReaderTest, ManyThreadsMaySubmit) {
  auto const file = MakeFile("file", 2'000'000);
  std::vector<std::thread> threads;
  std::atomic<int> bad{0};
  for (unsigned n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      std::mt19937_64 random(n);
      std::vector<std::byte> into(3000);
      for (int i = 0; i < 100; ++i) {
        uint64_t const offset = random() % (content_.size() - into.size());
        bool const ok = ReadOne(file, offset, into).has_value();
        if (!ok || std::memcmp(into.data(), content_.data() + offset, into.size()) != 0) ++bad;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(bad, 0);
}

std::string NameOf(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.way == Way::kUring ? "Uring" : "Threads";
  name += info.param.direct ? "Direct" : "Buffered";
  return name + (std::string(info.param.parent) == "/dev/shm" ? "InMemory" : "OnDisk");
}

INSTANTIATE_TEST_SUITE_P(Ways, BlockReaderTest,
                         ::testing::Values(Case{Way::kUring, true, "/var/tmp"},
                                           Case{Way::kUring, false, "/var/tmp"},
                                           Case{Way::kUring, false, "/dev/shm"},
                                           Case{Way::kThreads, true, "/var/tmp"},
                                           Case{Way::kThreads, false, "/var/tmp"},
                                           Case{Way::kThreads, false, "/dev/shm"}),
                         NameOf);

}  // namespace
}  // namespace stokefs::base
