#include "cache/wish_pump.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cache/digest.h"
#include "tests/support/block_bytes.h"
#include "tests/support/fake_clock.h"

namespace stokefs::cache {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kMemory = 1u << 20, kSize = 4000, kUnderWay = 10 * kSize;
constexpr uint32_t kFileCount = 1000;

// One job that reads each of 1,000 files once an epoch; memory holds about a quarter of them. What
// is asked for comes, or does not, when the test says so.
class WishPumpTest : public ::testing::Test {
 protected:
  WishPumpTest() {
    memory_ = std::move(*MemoryTier::Create(kMemory, replacement_));
    std::vector<SampleMap::File> files;
    for (uint32_t node = 2; node < 2 + kFileCount; ++node)
      files.push_back({MakeSampleId(std::to_string(node)), NodeId{node}, kSize});
    memory_->Steer([&] {
      replacement_.Install(std::make_unique<EpochSteering>(
          SampleMap::Make(files, {.layout = {.chunk_samples = 16}}),
          EpochSteering::Options{.capacity_bytes = kMemory - kMemory / 64}));
    });
    pump_.emplace(
        WishPump::Options{.under_way_bytes_max = kUnderWay, .failed_pause = seconds(30)}, *memory_,
        replacement_,
        [this](std::span<const BlockKey> keys, RoomRule rule, PrefetchDone done) {
          return Take(keys, rule, std::move(done));
        },
        clock_);
  }
  ~WishPumpTest() override { pump_.reset(); }

  void StartJob() {
    memory_->Steer([&] { replacement_.steering()->policy.StartJob({0}); });
    pump_->Poke();
  }

  size_t Take(std::span<const BlockKey> keys, RoomRule rule, PrefetchDone done) {
    base::MutexLock lock(mu_);
    EXPECT_EQ(rule, RoomRule::kSpentRoom);
    size_t const taken_count = std::min(keys.size(), queue_room_);
    queue_room_ -= taken_count;
    for (BlockKey const key : keys.first(taken_count)) {
      EXPECT_TRUE(asked_.emplace(key, done).second) << "asked for what is under way";
      ++asked_counts_[key];
    }
    changed_.SignalAll();
    return taken_count;
  }
  // Until `count` are under way.
  bool WaitAsked(size_t count) {
    auto const deadline = std::chrono::steady_clock::now() + seconds(10);
    base::MutexLock lock(mu_);
    while (asked_.size() != count) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      changed_.WaitFor(mu_, milliseconds(10));
    }
    return true;
  }
  // What the pump does of itself it does within this time.
  void LetItThink() { std::this_thread::sleep_for(milliseconds(30)); }
  size_t AskedCount() {
    base::MutexLock lock(mu_);
    return asked_.size();
  }
  int64_t AskedTwiceCount() {
    base::MutexLock lock(mu_);
    return std::count_if(asked_counts_.begin(), asked_counts_.end(),
                         [](const auto& asked) { return asked.second > 1; });
  }
  size_t DistinctCount() {
    base::MutexLock lock(mu_);
    return asked_counts_.size();
  }
  // Ends `count` of what is under way.
  std::vector<BlockKey> EndSome(size_t count, const std::optional<base::Error>& error) {
    std::vector<std::pair<BlockKey, PrefetchDone>> ended;
    {
      base::MutexLock lock(mu_);
      while (ended.size() < count && !asked_.empty()) {
        ended.emplace_back(*asked_.begin());
        asked_.erase(asked_.begin());
      }
    }
    std::vector<BlockKey> keys;
    for (auto& [key, done] : ended) {
      keys.push_back(key);
      if (!error) Publish(key);
      done(key, error ? base::Status(tl::unexpected(*error)) : base::Status());
    }
    return keys;
  }
  void Publish(BlockKey key) {
    auto room = memory_->Reserve(kSize);
    ASSERT_TRUE(room.has_value());
    testing::FillBlock(room->bytes(), key);
    uint64_t const digest = DigestOf(room->bytes());
    memory_->Publish(std::move(*room), key, digest);
  }

  testing::FakeClock clock_;
  EpochReplacement replacement_;
  std::unique_ptr<MemoryTier> memory_;

  base::Mutex mu_;
  base::CondVar changed_;
  std::map<BlockKey, PrefetchDone> asked_ GUARDED_BY(mu_);
  std::map<BlockKey, int> asked_counts_ GUARDED_BY(mu_);
  size_t queue_room_ GUARDED_BY(mu_) = 1'000'000;

  std::optional<WishPump> pump_;
};

TEST_F(WishPumpTest, NothingIsWishedForWhileThereIsNoJob) {
  pump_->Poke();
  LetItThink();
  EXPECT_EQ(AskedCount(), 0u);
}

TEST_F(WishPumpTest, SoManyBytesAreUnderWayAndNoMore) {
  StartJob();
  ASSERT_TRUE(WaitAsked(kUnderWay / kSize));
  pump_->Poke();
  LetItThink();
  EXPECT_EQ(AskedCount(), kUnderWay / kSize);
}

TEST_F(WishPumpTest, MoreIsAskedForWhenHalfHasCome) {
  StartJob();
  ASSERT_TRUE(WaitAsked(10));
  EndSome(4, std::nullopt);
  LetItThink();
  EXPECT_EQ(AskedCount(), 6u);
  EndSome(1, std::nullopt);
  EXPECT_TRUE(WaitAsked(10));
  EXPECT_EQ(DistinctCount(), 15u);
}

TEST_F(WishPumpTest, ItEndsWhenMemoryHoldsAllThatItMay) {
  StartJob();
  ASSERT_TRUE(WaitAsked(10));
  while (EndSome(10, std::nullopt).size() >= 5) LetItThink();
  MemoryUsage const usage = memory_->Usage();
  EXPECT_GE(usage.payload_bytes, kMemory * 9 / 10);
  EXPECT_EQ(usage.evicted_count, 0u);
}

TEST_F(WishPumpTest, WhatLackedRoomIsAskedForAgainWhenSomethingWasRead) {
  StartJob();
  ASSERT_TRUE(WaitAsked(10));
  EndSome(10, base::Error{std::errc::not_enough_memory, "no room"});
  ASSERT_TRUE(WaitAsked(10));  // others
  EXPECT_EQ(DistinctCount(), 20u);
  EXPECT_EQ(AskedTwiceCount(), 0);
  pump_->Poke();
  for (int round = 0; round < 10 && AskedTwiceCount() < 10; ++round) {  // behind other wishes
    EndSome(10, std::nullopt);
    LetItThink();
  }
  EXPECT_EQ(AskedTwiceCount(), 10);
}

TEST_F(WishPumpTest, WhatFailedIsAskedForAgainAfterAPauseOnly) {
  StartJob();
  ASSERT_TRUE(WaitAsked(10));
  // A broken origin: each wish fails, and none is made twice.
  size_t failed_count = 0;
  for (size_t ended = 1; ended > 0;) {
    ended = EndSome(10, base::Error{std::errc::io_error, "broken"}).size();
    failed_count += ended;
    pump_->Poke();
    LetItThink();
  }
  EXPECT_EQ(DistinctCount(), failed_count);
  EXPECT_GT(failed_count, 200u);  // as many as memory has room for
  clock_.Advance(seconds(31));
  pump_->Poke();
  EXPECT_TRUE(WaitAsked(10));
}

TEST_F(WishPumpTest, WhatAFullQueueRefusedIsAskedForAtTheNextPoke) {
  {
    base::MutexLock lock(mu_);
    queue_room_ = 3;
  }
  StartJob();
  ASSERT_TRUE(WaitAsked(3));
  LetItThink();
  EXPECT_EQ(AskedCount(), 3u);
  {
    base::MutexLock lock(mu_);
    queue_room_ = 1'000'000;
  }
  pump_->Poke();
  EXPECT_TRUE(WaitAsked(10));
  EXPECT_EQ(DistinctCount(), 10u);
}

TEST_F(WishPumpTest, WhatAReaderFetchedMeanwhileIsNotAskedFor) {
  {
    base::MutexLock lock(mu_);
    queue_room_ = 0;  // wishes are made, and wait
  }
  StartJob();
  LetItThink();
  std::set<BlockKey> came;
  memory_->Steer([&] {
    const SampleMap& map = *replacement_.steering()->map;
    for (uint32_t i = 0; i < map.shape().sample_count(); ++i)
      if (replacement_.steering()->policy.PlaceOf({i}) == EpochPolicy::Place::kComing)
        came.insert(map.KeyOf({i}));
  });
  ASSERT_GE(came.size(), 10u);
  for (BlockKey const key : came) Publish(key);
  {
    base::MutexLock lock(mu_);
    queue_room_ = 1'000'000;
  }
  pump_->Poke();
  ASSERT_TRUE(WaitAsked(10));
  base::MutexLock lock(mu_);
  for (auto const& [key, done] : asked_) EXPECT_FALSE(came.contains(key));
}

TEST_F(WishPumpTest, NothingIsAskedForAfterStop) {
  StartJob();
  ASSERT_TRUE(WaitAsked(10));
  pump_->Stop();
  EndSome(10, std::nullopt);
  pump_->Poke();
  LetItThink();
  EXPECT_EQ(AskedCount(), 0u);
}

}  // namespace
}  // namespace stokefs::cache
