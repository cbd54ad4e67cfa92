#include "cache/listing_flights.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <future>
#include <vector>

#include "cache/stale_folders.h"
#include "tests/support/fake_clock.h"

namespace stokefs::cache {
namespace {

constexpr NodeId kFolder{5};

class ListingFlightsTest : public ::testing::Test {
 protected:
  ListingFlightsTest() : flights_({.deadline = std::chrono::seconds(1)}, clock_) {
    flights_.Start();
  }
  std::future<int> Join() {
    auto promise = std::make_shared<std::promise<int>>();
    flights_.Join(kFolder, [promise](base::Status status) {
      promise->set_value(status ? 0 : status.error().Errno());
    });
    return promise->get_future();
  }
  testing::FakeClock clock_;
  ListingFlights flights_;
};

TEST_F(ListingFlightsTest, OneStartsAndAllAreAnswered) {
  auto one = Join(), other = Join();
  EXPECT_TRUE(flights_.TryStart(kFolder));
  EXPECT_FALSE(flights_.TryStart(kFolder));
  EXPECT_FALSE(flights_.Claim(kFolder));
  flights_.Land(kFolder, {});
  EXPECT_EQ(one.get(), 0);
  EXPECT_EQ(other.get(), 0);
  EXPECT_TRUE(flights_.IsIdle());
}

TEST_F(ListingFlightsTest, LateFlightFailsItsWaitersAndLaterOnesAtOnceUntilItLands) {
  auto waiter = Join();
  ASSERT_TRUE(flights_.TryStart(kFolder));
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(waiter.get(), ETIMEDOUT);
  EXPECT_EQ(Join().get(), ETIMEDOUT);
  flights_.Land(kFolder, {});
  auto later = Join();
  EXPECT_TRUE(flights_.TryStart(kFolder));
  flights_.Land(kFolder, base::FailErrno(EACCES, "x"));
  EXPECT_EQ(later.get(), EACCES);
}

TEST_F(ListingFlightsTest, FlightThatNobodyStartedIsForgottenWithItsWaiters) {
  auto waiter = Join();
  EXPECT_EQ(flights_.Waiting(), (std::vector<NodeId>{kFolder}));
  clock_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(waiter.get(), ETIMEDOUT);
  EXPECT_FALSE(flights_.TryStart(kFolder));
  EXPECT_TRUE(flights_.IsIdle());
}

TEST_F(ListingFlightsTest, EndAnswersWhoWaitsAndWhoComes) {
  auto waiter = Join();
  flights_.End();
  EXPECT_EQ(waiter.get(), EIO);
  EXPECT_EQ(Join().get(), EIO);
}

TEST(StaleFolders, OneFolderIsDueOncePerInterval) {
  testing::FakeClock clock;
  StaleFolders stale;
  stale.Add(kFolder);
  EXPECT_EQ(stale.TakeDue(clock.Now()), kFolder);
  stale.Add(kFolder);
  EXPECT_EQ(stale.TakeDue(clock.Now()), std::nullopt);
  stale.Done(kFolder, clock.Now());
  EXPECT_EQ(stale.TakeDue(clock.Now()), std::nullopt);
  EXPECT_TRUE(stale.AnyWanted());
  clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(stale.TakeDue(clock.Now()), kFolder);
  EXPECT_FALSE(stale.Begin(kFolder));
  EXPECT_EQ(stale.RunningCount(), 1u);
}

TEST(StaleFolders, MoreThanTheirBoundAreForgotten) {
  StaleFolders stale({.count_max = 2});
  for (uint32_t i = 1; i < 5; ++i) stale.Add(NodeId{i});
  EXPECT_EQ(stale.TakeDue({}), NodeId{1});
  EXPECT_EQ(stale.TakeDue({}), NodeId{2});
  EXPECT_EQ(stale.TakeDue({}), std::nullopt);
}

}  // namespace
}  // namespace stokefs::cache
