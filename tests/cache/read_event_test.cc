#include "cache/read_event.h"

#include <gtest/gtest.h>

#include <latch>
#include <vector>

namespace stokefs::cache {
namespace {

// Keeps the offsets that it was told of; the first batch waits until the test lets it go on.
class GatedObserver final : public ReadObserver {
 public:
  void OnReads(std::span<const ReadEvent> events) override {
    if (offsets.empty()) {
      arrived.count_down();
      gate.wait();
    }
    for (ReadEvent const& event : events) offsets.push_back(event.offset);
    ++batch_count;
  }

  std::latch arrived{1};
  std::latch gate{1};
  std::vector<uint64_t> offsets;  // read by the test after Drain or the queue's end
  size_t batch_count = 0;
};

std::vector<uint64_t> UpTo(uint64_t count) {
  std::vector<uint64_t> numbers;
  for (uint64_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

TEST(ReadEventQueue, DeliversInOrderAndDrainWaitsForIt) {
  GatedObserver observer;
  observer.gate.count_down();
  ReadEventQueue queue({.name = "events"}, observer);
  for (uint64_t i = 0; i < 1000; ++i) queue.Publish({.offset = i});
  queue.Drain();
  EXPECT_EQ(observer.offsets, UpTo(1000));
  EXPECT_EQ(queue.DroppedCount(), 0u);
}

TEST(ReadEventQueue, EventsThatComeWhileTheObserverWorksAreOneBatch) {
  GatedObserver observer;
  ReadEventQueue queue({.name = "events"}, observer);
  queue.Publish({.offset = 0});
  observer.arrived.wait();
  for (uint64_t i = 1; i < 100; ++i) queue.Publish({.offset = i});
  observer.gate.count_down();
  queue.Drain();
  EXPECT_EQ(observer.offsets, UpTo(100));
  EXPECT_EQ(observer.batch_count, 2u);
}

TEST(ReadEventQueue, AStuckObserverBlocksNoPublisherAndDropsAreCounted) {
  GatedObserver observer;
  ReadEventQueue queue({.name = "events", .event_count_max = 10}, observer);
  queue.Publish({.offset = 0});
  observer.arrived.wait();
  for (uint64_t i = 1; i < 20; ++i) queue.Publish({.offset = i});
  EXPECT_EQ(queue.DroppedCount(), 9u);
  observer.gate.count_down();
  queue.Drain();
  EXPECT_EQ(observer.offsets, UpTo(11));
}

TEST(ReadEventQueue, TheEndDeliversWhatIsQueued) {
  GatedObserver observer;
  observer.gate.count_down();
  {
    ReadEventQueue queue({.name = "events", .batch_pause = std::chrono::hours(1)}, observer);
    for (uint64_t i = 0; i < 50; ++i) queue.Publish({.offset = i});
  }
  EXPECT_EQ(observer.offsets, UpTo(50));
}

TEST(ReadEventQueue, DrainDoesNotWaitForThePauseBetweenBatches) {
  GatedObserver observer;
  observer.gate.count_down();
  ReadEventQueue queue({.name = "events", .batch_pause = std::chrono::hours(1)}, observer);
  for (uint64_t i = 0; i < 5; ++i) {
    queue.Publish({.offset = i});
    queue.Drain();
  }
  EXPECT_EQ(observer.offsets, UpTo(5));
}

TEST(ReadEventQueue, SaysSoWhenNothingIsRead) {
  class IdleObserver final : public ReadObserver {
   public:
    void OnReads(std::span<const ReadEvent>) override {}
    void OnIdle() override {
      if (!told.try_wait()) told.count_down();
    }
    std::latch told{1};
  };
  IdleObserver observer;
  ReadEventQueue queue({.name = "events", .idle_period = std::chrono::milliseconds(1)}, observer);
  observer.told.wait();
}

TEST(ReadEventQueue, ManyPublishersLoseNothing) {
  struct Sum final : ReadObserver {
    void OnReads(std::span<const ReadEvent> events) override {
      for (ReadEvent const& event : events) total += event.offset;
    }
    uint64_t total = 0;
  } sum;
  ReadEventQueue queue({.name = "events"}, sum);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (uint64_t i = 1; i <= 5000; ++i) queue.Publish({.offset = i});
    });
  }
  for (std::thread& thread : threads) thread.join();
  queue.Drain();
  EXPECT_EQ(sum.total, 4u * 5000 * 5001 / 2);
}

}  // namespace
}  // namespace stokefs::cache
