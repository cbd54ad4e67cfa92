#include "cache/packed_origin.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <future>
#include <latch>
#include <map>
#include <string>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_locator.h"
#include "tests/support/packed_source.h"

namespace stokefs::cache {
namespace {

namespace fs = std::filesystem;
using testing::FlipBit;
using testing::ReadBytes;
using testing::WriteBytes;

constexpr uint64_t kExtent = 64u << 10;

std::string Letters(size_t count, char first) {
  std::string text(count, '.');
  for (size_t i = 0; i < count; ++i) text[i] = static_cast<char>(first + i % 23);
  return text;
}

class PackedOriginTest : public ::testing::Test {
 protected:
  PackedOriginTest() { packed_.options.extent_bytes = kExtent; }
  ~PackedOriginTest() override { origin_.reset(); }

  // A file of the source, known as `node`.
  void Add(NodeId node, const std::string& name, const std::string& text) {
    packed_.source.File(name, text);
    base::UniqueFd const file(open((packed_.source / name).c_str(), O_RDONLY | O_CLOEXEC));
    locator_.Add(node, name, file.Get());
  }
  PackedOrigin& origin() {
    if (!origin_) {
      auto dataset = PackedDataset::Open(packed_.OpenOut());
      STOKEFS_CHECK(dataset.has_value());
      origin_ = std::make_unique<PackedOrigin>(options_, std::move(*dataset), locator_, clock_);
    }
    return *origin_;
  }
  struct Asked {
    BlockKey key;
    std::string bytes;
    std::promise<base::Status> answer = {};
    int Error() {
      base::Status const status = answer.get_future().get();
      message = status ? "" : status.error().message;
      return status ? 0 : status.error().Errno();
    }
    std::string message = {};
  };
  void Start(std::vector<Asked>& asked) {
    std::vector<FetchItem> items;
    for (Asked& one : asked) {
      items.push_back({.key = one.key,
                       .into = std::as_writable_bytes(std::span(one.bytes)),
                       .deadline = clock_.Now() + std::chrono::seconds(10),
                       .done = [&one](base::Status s) { one.answer.set_value(std::move(s)); }});
    }
    origin().Fetch(std::move(items));
  }
  int Fetch(BlockKey key, size_t size_bytes) {
    std::vector<Asked> asked(1);
    asked[0] = {.key = key, .bytes = std::string(size_bytes, '.')};
    Start(asked);
    int const error = asked[0].Error();
    bytes_ = asked[0].bytes;
    message_ = asked[0].message;
    return error;
  }

  testing::PackedSource packed_;
  testing::FakeClock clock_;
  testing::FakeLocator locator_;
  PackedOrigin::Options options_{.threads = 4};
  std::string bytes_, message_;
  std::unique_ptr<PackedOrigin> origin_;
};

TEST_F(PackedOriginTest, GivesSmallFilesWholeAndLargeOnesByExtent) {
  std::string const large = Letters(2 * kExtent + 10, 'a');
  Add(NodeId{2}, "d/small", "hello");
  Add(NodeId{3}, "large", large);
  Add(NodeId{4}, "edge", Letters(kExtent, 'A'));
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), 0) << message_;
  EXPECT_EQ(bytes_, "hello");
  EXPECT_EQ(Fetch({NodeId{3}, 1}, kExtent), 0) << message_;
  EXPECT_EQ(bytes_, large.substr(kExtent, kExtent));
  EXPECT_EQ(Fetch({NodeId{3}, 2}, 10), 0);
  EXPECT_EQ(bytes_, large.substr(2 * kExtent));
  EXPECT_EQ(Fetch({NodeId{4}, 0}, kExtent), 0);
  EXPECT_EQ(bytes_, Letters(kExtent, 'A'));
  EXPECT_EQ(origin().Statistics().reads.Value(), 4u);
  EXPECT_EQ(origin().Statistics().bytes.Value(), 2 * kExtent + 15);
  EXPECT_TRUE(locator_.Stale().empty());
}

TEST_F(PackedOriginTest, BlocksOfOneFetchThatLieCloseAreReadTogether) {
  std::atomic<int> reads{0};
  options_.read_at = [&](int fd, std::span<iovec> pieces, uint64_t offset) {
    ++reads;
    return ReadPiecesAt(fd, pieces, offset);
  };
  std::vector<Asked> asked(200);
  for (uint32_t i = 0; i < asked.size(); ++i) {
    std::string const text = Letters(100 + i, static_cast<char>('A' + i % 7));
    Add(NodeId{i + 2}, std::string("f").append(std::to_string(i)), text);
    asked[i] = {.key = {NodeId{i + 2}, 0}, .bytes = std::string(text.size(), '.')};
  }
  packed_.Pack();
  // Every second one: the others between them are read over.
  std::vector<Asked> half(100);
  for (size_t i = 0; i < half.size(); ++i) half[i] = {asked[2 * i].key, asked[2 * i].bytes};
  Start(half);
  for (size_t i = 0; i < half.size(); ++i) {
    EXPECT_EQ(half[i].Error(), 0) << half[i].message;
    EXPECT_EQ(half[i].bytes, Letters(half[i].bytes.size(), static_cast<char>('A' + 2 * i % 7)));
  }
  EXPECT_EQ(reads, 1);
}

TEST_F(PackedOriginTest, BlocksOfManyChunkFilesInOneFetchAreAllGiven) {
  packed_.options.layout = {.chunk_bytes = 1000, .chunk_samples = 2};
  options_.chunks = {.head_bytes_max = 1000, .open_files_max = 3};
  std::vector<Asked> asked(300);
  for (uint32_t i = 0; i < asked.size(); ++i) {
    Add(NodeId{i + 2}, std::string("f").append(std::to_string(i)), Letters(100 + i, 'a'));
    asked[i] = {.key = {NodeId{i + 2}, 0}, .bytes = std::string(100 + i, '.')};
  }
  EXPECT_GT(packed_.Pack().files, 150u);
  Start(asked);
  for (Asked& one : asked) {
    EXPECT_EQ(one.Error(), 0) << one.message;
    EXPECT_EQ(one.bytes, Letters(one.bytes.size(), 'a'));
  }
}

TEST_F(PackedOriginTest, TheSameBlockTwiceInOneFetchIsGivenTwice) {
  Add(NodeId{2}, "f", "hello");
  packed_.Pack();
  std::vector<Asked> asked(2);
  for (Asked& one : asked) one = {.key = {NodeId{2}, 0}, .bytes = "....."};
  Start(asked);
  for (Asked& one : asked) {
    EXPECT_EQ(one.Error(), 0);
    EXPECT_EQ(one.bytes, "hello");
  }
}

TEST_F(PackedOriginTest, DamagedBytesAreAnErrorOfTheDiskAndARepairedFileIsRead) {
  Add(NodeId{2}, "f", "hello");
  packed_.Pack();
  std::string const file = packed_.ChunkFiles().at(0);
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), 0);
  FlipBit(file, 8 * 4096);
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), EIO);
  EXPECT_NE(message_.find("f"), std::string::npos);
  WriteBytes(file, ReadBytes(file).substr(0, 4096));
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), EIO);
  FlipBit(file, 8 * 70);  // the head
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), EIO);
  fs::remove(file);
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), EIO);
  EXPECT_TRUE(locator_.Stale().empty());
  EXPECT_EQ(origin().Statistics().errors.Value(), 4u);
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), 0) << message_;
  EXPECT_EQ(bytes_, "hello");
}

TEST_F(PackedOriginTest, ADamagedBlockIsNotItsNeighboursFailure) {
  Add(NodeId{2}, "a", "hello");
  Add(NodeId{3}, "b", "world");
  packed_.Pack();
  FlipBit(packed_.ChunkFiles().at(0), 8 * 4096);  // the first of the two
  std::vector<Asked> asked(2);
  asked[0] = {.key = {NodeId{2}, 0}, .bytes = "....."};
  asked[1] = {.key = {NodeId{3}, 0}, .bytes = "....."};
  Start(asked);
  EXPECT_EQ(asked[0].Error() + asked[1].Error(), EIO);
}

TEST_F(PackedOriginTest, ARepairedFileIsReadAlthoughTheDamagedOneIsStillOpen) {
  Add(NodeId{2}, "a", "hello");
  Add(NodeId{3}, "b", "world");
  packed_.Pack();
  FlipBit(packed_.ChunkFiles().at(0), 8 * 4096);
  int const first = Fetch({NodeId{2}, 0}, 5), second = Fetch({NodeId{3}, 0}, 5);
  EXPECT_EQ(first + second, EIO);  // one of them is right, and read from the damaged file
  EXPECT_EQ(Fetch({NodeId{first == 0 ? 2u : 3u}, 0}, 5), 0);
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{first == 0 ? 3u : 2u}, 0}, 5), 0) << message_;
}

TEST_F(PackedOriginTest, AFailedReadOfManyIsTriedOneByOne) {
  Add(NodeId{2}, "a", "hello");
  Add(NodeId{3}, "b", "world");
  packed_.Pack();
  options_.read_at = [&](int fd, std::span<iovec> pieces, uint64_t offset) {
    if (pieces.size() > 1) return base::Result<size_t>(base::FailErrno(EIO, "the test's"));
    return ReadPiecesAt(fd, pieces, offset);
  };
  std::vector<Asked> asked(2);
  asked[0] = {.key = {NodeId{2}, 0}, .bytes = "....."};
  asked[1] = {.key = {NodeId{3}, 0}, .bytes = "....."};
  Start(asked);
  EXPECT_EQ(asked[0].Error(), 0);
  EXPECT_EQ(asked[1].Error(), 0);
  EXPECT_EQ(asked[0].bytes + asked[1].bytes, "helloworld");
}

TEST_F(PackedOriginTest, AfterRepackingAChangedFileIsStaleAndOthersAreGiven) {
  Add(NodeId{2}, "changed", "old");
  Add(NodeId{3}, "same", "same");
  Add(NodeId{4}, "removed", "gone");
  packed_.Pack();
  // In memory is what the first edition said: no block of it was read.
  origin();
  packed_.source.File("changed", "new");
  packed_.source.Remove("removed");
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 3), ESTALE);
  EXPECT_EQ(bytes_, "...");
  EXPECT_EQ(Fetch({NodeId{3}, 0}, 4), 0) << message_;
  EXPECT_EQ(bytes_, "same");
  EXPECT_EQ(Fetch({NodeId{4}, 0}, 4), ESTALE);
  EXPECT_EQ(locator_.Stale(), (std::vector{NodeId{2}, NodeId{4}}));
  EXPECT_EQ(origin().Statistics().stale.Value(), 2u);
}

TEST_F(PackedOriginTest, WhatIsOpenGivesItsOldBytesAfterRepacking) {
  Add(NodeId{2}, "a", "old");
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 3), 0);
  packed_.source.File("a", "new");
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 3), 0);
  EXPECT_EQ(bytes_, "old");
}

TEST_F(PackedOriginTest, ARepackBetweenFindingAndReadingIsNoError) {
  packed_.options.layout.chunk_samples = 1;
  options_.chunks = {.open_files_max = 1};  // so that the second file is not held open
  Add(NodeId{2}, "a", "hello");
  Add(NodeId{3}, "b", "world");
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), 0);
  EXPECT_EQ(Fetch({NodeId{3}, 0}, 5), 0);  // both heads are held, one file
  packed_.options.layout.chunk_samples = 5;
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{2}, 0}, 5), 0) << message_;
  EXPECT_EQ(bytes_, "hello");
}

TEST_F(PackedOriginTest, RepackedWithOtherExtentsALargeFileIsStaleNeverWrong) {
  Add(NodeId{2}, "large", Letters(3 * kExtent, 'a'));
  packed_.Pack();
  origin();
  packed_.options.extent_bytes = 2 * kExtent;
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{2}, 0}, kExtent), ESTALE);
  EXPECT_EQ(Fetch({NodeId{2}, 2}, kExtent), ESTALE);
}

TEST_F(PackedOriginTest, AnUnknownNodeIsNotFoundAndNobodyHearsOfIt) {
  packed_.Pack();
  EXPECT_EQ(Fetch({NodeId{9}, 0}, 5), ENOENT);
  EXPECT_TRUE(locator_.Stale().empty());
}

TEST_F(PackedOriginTest, WhatIsPastItsDeadlineIsNotStarted) {
  Add(NodeId{2}, "f", "hello");
  packed_.Pack();
  std::string bytes = ".....";
  std::promise<base::Status> answer;
  std::vector<FetchItem> items(1);
  items[0] = {.key = {NodeId{2}, 0},
              .into = std::as_writable_bytes(std::span(bytes)),
              .deadline = clock_.Now(),
              .done = [&](base::Status status) { answer.set_value(std::move(status)); }};
  origin().Fetch(std::move(items));
  EXPECT_EQ(answer.get_future().get().error().Errno(), ETIMEDOUT);
  EXPECT_EQ(bytes, ".....");
}

TEST_F(PackedOriginTest, AHungDiskRefusesWhatItCannotQueueAndStopGivesUp) {
  Add(NodeId{2}, "f", "hello");
  packed_.Pack();
  options_.threads = 1;
  options_.queue_count_max = 1;
  std::latch arrived(1), released(1);
  options_.read_at = [&](int fd, std::span<iovec> pieces, uint64_t offset) {
    arrived.count_down();
    released.wait();
    return ReadPiecesAt(fd, pieces, offset);
  };
  std::vector<std::vector<Asked>> fetches(4);
  for (auto& asked : fetches) {
    asked.resize(1);
    asked[0] = {.key = {NodeId{2}, 0}, .bytes = "....."};
  }
  Start(fetches[0]);
  arrived.wait();
  Start(fetches[1]);
  Start(fetches[2]);
  EXPECT_EQ(fetches[2][0].Error(), EAGAIN);
  EXPECT_FALSE(origin().Stop(std::chrono::milliseconds(10)));
  EXPECT_EQ(fetches[1][0].Error(), ECANCELED);
  Start(fetches[3]);
  EXPECT_EQ(fetches[3][0].Error(), ECANCELED);
  released.count_down();
  EXPECT_TRUE(origin().Stop(std::chrono::seconds(60)));
  EXPECT_EQ(fetches[0][0].Error(), 0);
  EXPECT_EQ(fetches[0][0].bytes, "hello");
}

TEST(ReadPiecesAt, FillsManyPiecesFromShortReadsUpToTheEnd) {
  testing::TempDir dir;
  std::string const text = Letters(5000, 'a');
  WriteBytes(dir / "f", text);
  base::UniqueFd const fd(open((dir / "f").c_str(), O_RDONLY | O_CLOEXEC));
  std::string into(4000, '.');
  std::vector<iovec> pieces;  // more than one call takes
  for (size_t i = 0; i < into.size(); i += 2) pieces.push_back({into.data() + i, 2});
  EXPECT_EQ(*ReadPiecesAt(fd.Get(), pieces, 10), 4000u);
  EXPECT_EQ(into, text.substr(10, 4000));
  std::vector<iovec> beyond = {{into.data(), 3000}};
  EXPECT_EQ(*ReadPiecesAt(fd.Get(), beyond, 3000), 2000u);
}

}  // namespace
}  // namespace stokefs::cache
