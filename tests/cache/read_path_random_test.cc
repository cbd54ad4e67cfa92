// Random reads by many threads over two sources that fail, refuse, dawdle and answer out of order,
// against the true bytes.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "tests/cache/read_path_fixture.h"
#include "tests/support/fake_sink.h"

namespace stokefs::cache {
namespace {

// Answers from threads of its own, in any order: mostly with bytes, sometimes with an error,
// sometimes only after many other answers.
class FlakySource final : public ChunkSource {
 public:
  FlakySource(Tier tier, uint64_t seed) : tier_(tier), random_(seed) {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~FlakySource() override {
    {
      base::MutexLock lock(mu_);
      stopping_ = true;
      changed_.SignalAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  Tier tier() const override { return tier_; }

  bool Holds(BlockKey) const override {
    base::MutexLock lock(mu_);
    return random_() % 4 != 0;
  }

  void Fetch(std::vector<FetchItem> items) override {
    for (FetchItem& item : items) {
      int inside = 0;
      {
        base::MutexLock lock(mu_);
        inside = DiceInside();
        if (inside == 0) Keep(std::move(item));
        changed_.SignalAll();
      }
      if (inside != 0) item.done(base::FailErrno(inside, "flaky"));
    }
  }

  // The most that was ever asked for at a time.
  uint64_t BytesMax() const {
    base::MutexLock lock(mu_);
    return bytes_max_;
  }

 private:
  void Keep(FetchItem item) REQUIRES(mu_) {
    bytes_ += item.into.size();
    bytes_max_ = std::max(bytes_max_, bytes_);
    items_.push_back(std::move(item));
  }

  // The error to answer inside Fetch; mostly 0, none.
  int DiceInside() REQUIRES(mu_) {
    uint64_t const dice = random_() % 50;
    if (dice == 0) return EAGAIN;
    return dice < 8 && tier_ != Tier::kOrigin ? ENOENT : 0;
  }

  void Run() {
    base::MutexLock lock(mu_);
    for (;;) {
      while (items_.empty() && !stopping_) changed_.Wait(mu_);
      if (items_.empty()) return;  // ends with every item answered
      size_t const index = random_() % items_.size();
      uint64_t const dice = random_() % 100;
      std::swap(items_[index], items_.back());
      FetchItem const item = std::move(items_.back());
      items_.pop_back();
      mu_.unlock();
      for (uint64_t i = 0; dice < 3 && i < 2000; ++i) std::this_thread::yield();  // late
      {
        base::MutexLock counting(mu_);
        bytes_ -= item.into.size();
      }
      if (dice >= 2 && dice < 12) {
        testing::FillBlock(item.into.first(item.into.size() / 2), item.key, 1);  // rubbish
        item.done(base::FailErrno(dice < 10 ? EIO : ETIMEDOUT, "flaky"));
      } else {
        testing::FillBlock(item.into, item.key);
        item.done({});
      }
      mu_.lock();
    }
  }

  const Tier tier_;
  mutable base::Mutex mu_;
  base::CondVar changed_;
  mutable std::mt19937_64 random_ GUARDED_BY(mu_);
  std::vector<FetchItem> items_ GUARDED_BY(mu_);
  uint64_t bytes_ GUARDED_BY(mu_) = 0;  // of items not answered
  uint64_t bytes_max_ GUARDED_BY(mu_) = 0;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

// Wishes: each that was taken must end once.
struct WishTally {
  std::atomic<uint64_t> taken{0}, brought{0}, failed{0};  // atomic: sums

  uint64_t Ended() const { return brought + failed; }
};

struct Tally {
  std::atomic<uint64_t> right{0}, wrong{0}, errors{0}, strange_errors{0};  // atomic: sums
};

class RandomReadPathTest : public ReadPathTest {
 protected:
  // Reads `count` random ranges, one after the other.
  void ReadAtRandom(uint64_t seed, int count, Tally& tally) {
    std::mt19937_64 random(seed);
    std::vector<std::pair<NodeId, uint64_t>> const files(layout_.size_bytes.begin(),
                                                         layout_.size_bytes.end());
    for (int i = 0; i < count; ++i) {
      auto const& [node, file_bytes] = files[random() % files.size()];
      uint64_t const offset = random() % (file_bytes + 10);
      uint32_t const size_max = random() % 4 == 0 ? 3 * kExtent : 4096;
      ReadRequest const request{.node = node,
                                .offset = offset,
                                .size_bytes = static_cast<uint32_t>(random() % size_max),
                                .reader = {static_cast<uint32_t>(seed)}};
      std::promise<base::Result<ReadReply>> answered;
      ReadTicket const ticket = path().Read(request, [&](base::Result<ReadReply> answer) {
        answered.set_value(std::move(answer));  // throws if called twice
      });
      if (random() % 20 == 0) path().Cancel(ticket);
      if (random() % 20 == 0) memory_->Remove({node, 0});
      Judge(request, file_bytes, answered.get_future().get(), tally);
    }
  }

  // Wishes for some random blocks, of some that do not exist too.
  void WishAtRandom(std::mt19937_64& random, WishTally& tally) {
    std::vector<BlockKey> keys;
    for (uint64_t i = random() % 8; i > 0; --i) {
      auto file = layout_.size_bytes.begin();
      std::advance(file, static_cast<long>(random() % layout_.size_bytes.size()));
      keys.push_back({file->first, static_cast<uint32_t>(random() % (file->second / kExtent + 2))});
    }
    auto const rule = random() % 2 == 0 ? RoomRule::kMayEvict : RoomRule::kFreeRoom;
    size_t const taken = path().Prefetch(keys, rule, [&](BlockKey, const base::Status& status) {
      ++(status ? tally.brought : tally.failed);
    });
    tally.taken += taken;
  }

  void Judge(const ReadRequest& request, uint64_t file_bytes, base::Result<ReadReply> answer,
             Tally& tally) {
    if (!answer) {
      int const error = answer.error().Errno();
      ++(error == EIO || error == ETIMEDOUT || error == EINTR ? tally.errors
                                                              : tally.strange_errors);
      return;
    }
    Asked asked{.request = request};
    asked.answer.emplace(std::move(answer));
    uint64_t const left = request.offset < file_bytes ? file_bytes - request.offset : 0;
    bool const right =
        asked.SizeBytes() == std::min<uint64_t>(left, request.size_bytes) && asked.RightBytes();
    ++(right ? tally.right : tally.wrong);
  }
};

TEST_F(RandomReadPathTest, RandomReadsOverFlakySourcesGiveTrueBytesOrAnErrno) {
  uint64_t const seed = std::random_device()();
  SCOPED_TRACE(seed);
  constexpr int kThreads = 4;
  constexpr int kReadsPerThread = 400;
  options_.read_deadline = std::chrono::milliseconds(50);
  options_.parked_count_max = 3;  // below the threads' number: some are refused
  options_.fetch_bytes_max = 6 * kExtent;
  testing::FakeSink sink;
  options_.sink = &sink;
  options_.prefetch_count_max = 12;
  options_.prefetch_bytes_max = 2 * kExtent;
  Tally tally;
  WishTally wishes;
  {
    FlakySource disk(Tier::kDisk, seed);
    FlakySource origin(Tier::kOrigin, seed + 1);
    sources_ = {{&disk, std::chrono::milliseconds(2), 3 * kExtent},
                {&origin, std::chrono::milliseconds(20), 4 * kExtent}};
    path();
    std::atomic<int> running{kThreads};
    std::vector<std::thread> readers;
    for (int i = 0; i < kThreads; ++i) {
      readers.emplace_back([&, i] {
        ReadAtRandom(seed + static_cast<uint64_t>(i), kReadsPerThread, tally);
        --running;
      });
    }
    std::mt19937_64 random(seed + 100);
    for (uint32_t i = 0; running > 0; ++i) {
      sink.SetPaused(i % 64 < 8);
      PassTime(std::chrono::microseconds(10));
      if (i % 4 == 0) WishAtRandom(random, wishes);
      std::this_thread::yield();
    }
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(path().ParkedCount(), 0u);
    path_->Shutdown(std::errc::io_error);  // else late answers go on to sources that are gone
    // Of readers, and the background's.
    EXPECT_LE(disk.BytesMax(), (3 + 2) * kExtent);
    EXPECT_LE(origin.BytesMax(), (4 + 2) * kExtent);
  }  // the sources answer what they still hold
  EXPECT_GT(wishes.brought, 0u);
  EXPECT_GT(wishes.failed, 0u);
  EXPECT_EQ(wishes.Ended(), wishes.taken);
  EXPECT_EQ(sink.WrongCount(), 0u);
  EXPECT_GT(sink.ToldCount(), 0u);
  EXPECT_EQ(tally.wrong, 0u);
  EXPECT_EQ(tally.strange_errors, 0u);
  EXPECT_GT(tally.right, 0u);
  EXPECT_EQ(tally.right + tally.errors, uint64_t{kThreads * kReadsPerThread});
  EXPECT_EQ(memory_->Usage().reserved_bytes, 0u);
  EXPECT_EQ(memory_->Usage().leased_bytes, 0u);
  RecordProperty("right", static_cast<int>(tally.right));
  RecordProperty("errors", static_cast<int>(tally.errors));
  path_.reset();
}

// The path ends while readers and sources are at it.
TEST_F(RandomReadPathTest, AShutdownUnderLoadAnswersEveryReadOnce) {
  uint64_t const seed = std::random_device()();
  SCOPED_TRACE(seed);
  Tally tally;
  FlakySource origin(Tier::kOrigin, seed);
  sources_ = {{&origin, kOriginDeadline}};
  path();
  std::vector<std::thread> readers;
  for (uint64_t i = 0; i < 3; ++i) {
    readers.emplace_back([&, i] { ReadAtRandom(seed + i, 100, tally); });
  }
  WishTally wishes;
  std::mt19937_64 random(seed + 100);
  while (tally.right < 50) {
    PassTime(std::chrono::microseconds(1));
    WishAtRandom(random, wishes);
    std::this_thread::yield();
  }
  path().Shutdown(std::errc::io_error);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(path().ParkedCount(), 0u);
  EXPECT_EQ(tally.wrong, 0u);
  EXPECT_EQ(tally.right + tally.errors, 300u);
  EXPECT_EQ(wishes.Ended(), wishes.taken);
  path_.reset();  // the source may still answer
}

}  // namespace
}  // namespace stokefs::cache
