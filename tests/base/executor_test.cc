#include "base/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <string>

namespace stokefs::base {
namespace {

TEST(ThreadPool, RunsAsManyAtOnceAsItHasThreads) {
  ThreadPool pool({.name = "test", .threads_max = 3, .queue_count_max = 10});
  std::atomic<int> arrived{0};
  std::promise<void> release;
  std::shared_future<void> const gate = release.get_future().share();
  std::promise<void> all_here;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(pool.TrySubmit([&, gate] {
      if (++arrived == 3) all_here.set_value();
      gate.wait();
    }));
  }
  all_here.get_future().wait();  // hangs if they ran one after the other
  release.set_value();
  EXPECT_TRUE(pool.Stop(std::chrono::seconds(10)));
}

TEST(ThreadPool, AFullQueueRefuses) {
  ThreadPool pool({.name = "test", .threads_max = 1, .queue_count_max = 1});
  std::promise<void> started, release;
  auto gate = release.get_future().share();
  ASSERT_TRUE(pool.TrySubmit([&, gate] {
    started.set_value();
    gate.wait();
  }));
  started.get_future().wait();
  EXPECT_TRUE(pool.TrySubmit([] {}));
  EXPECT_FALSE(pool.TrySubmit([] {}));
  release.set_value();
}

// Work that tells that it has begun and stays until it is let go.
struct Held {
  std::promise<void> begun, release;
  std::function<void()> Work() {
    return [this, gate = release.get_future().share()] {
      begun.set_value();
      gate.wait();
    };
  }
};

TEST(ThreadPool, NormalWorkGoesBeforeBackgroundWork) {
  ThreadPool pool({.name = "test", .threads_max = 1});
  Held first;
  std::string order;
  std::promise<void> last;
  ASSERT_TRUE(pool.TrySubmit(first.Work()));
  first.begun.get_future().wait();
  ASSERT_TRUE(pool.TrySubmit([&] { order += "b"; }, WorkPriority::kBackground));
  ASSERT_TRUE(pool.TrySubmit([&] { last.set_value(); }, WorkPriority::kBackground));
  ASSERT_TRUE(pool.TrySubmit([&] { order += "n"; }));
  EXPECT_EQ(pool.QueueCount(), 3u);
  first.release.set_value();
  last.get_future().wait();
  EXPECT_EQ(order, "nb");
}

TEST(ThreadPool, BackgroundWorkLeavesThreadsToNormalWork) {
  ThreadPool pool({.name = "test", .threads_max = 3, .background_threads_max = 2});
  Held background[3];
  for (Held& held : background) {
    ASSERT_TRUE(pool.TrySubmit(held.Work(), WorkPriority::kBackground));
  }
  background[0].begun.get_future().wait();
  background[1].begun.get_future().wait();
  std::promise<void> normal_ran;
  ASSERT_TRUE(pool.TrySubmit([&] { normal_ran.set_value(); }));
  normal_ran.get_future().wait();  // hangs if the third was let in
  EXPECT_EQ(pool.QueueCount(), 1u);
  background[0].release.set_value();
  background[2].begun.get_future().wait();
  background[1].release.set_value();
  background[2].release.set_value();
}

TEST(ThreadPool, EachPriorityHasAQueueOfItsOwn) {
  ThreadPool pool({.name = "test", .threads_max = 1, .queue_count_max = 1});
  Held first;
  ASSERT_TRUE(pool.TrySubmit(first.Work()));
  first.begun.get_future().wait();
  EXPECT_TRUE(pool.TrySubmit([] {}, WorkPriority::kBackground));
  EXPECT_FALSE(pool.TrySubmit([] {}, WorkPriority::kBackground));
  EXPECT_TRUE(pool.TrySubmit([] {}));
  first.release.set_value();
}

TEST(ThreadPool, StopGivesUpOnAStuckThreadInTime) {
  auto pool = std::make_unique<ThreadPool>(ThreadPool::Options{.name = "test", .threads_max = 1});
  std::promise<void> started, release;
  std::promise<void> ended;
  auto gate = release.get_future().share();
  ASSERT_TRUE(pool->TrySubmit([&, gate] {
    started.set_value();
    gate.wait();
  }));
  started.get_future().wait();
  EXPECT_FALSE(pool->Stop(std::chrono::milliseconds(20)));
  EXPECT_FALSE(pool->TrySubmit([] {}));
  release.set_value();
  while (pool->RunningCount() > 0) std::this_thread::yield();
  EXPECT_TRUE(pool->Stop(std::chrono::seconds(10)));
}

TEST(Ticker, TicksUntilDestroyed) {
  std::atomic<int> count{0};
  std::promise<void> third;
  {
    Ticker ticker("test", std::chrono::milliseconds(1), [&] {
      if (++count == 3) third.set_value();
    });
    third.get_future().wait();
  }
  int const at_end = count;
  EXPECT_EQ(count, at_end);
}

}  // namespace
}  // namespace stokefs::base
